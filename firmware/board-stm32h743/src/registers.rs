//! The registers of this part, behind the traits of the modules that decide. Nothing here waits.

#![expect(unsafe_code, reason = "register access")]

pub(crate) mod flash;
pub(crate) mod pins;
pub(crate) mod pwm;
pub(crate) mod spi;

use engram_cortex_m::clock::ClockControl;
use stm32h7::stm32h743 as pac;

/// PWR, RCC and the flash controller.
pub(crate) struct Clocks<'a> {
    pub(crate) pwr: &'a mut pac::PWR,
    pub(crate) rcc: &'a mut pac::RCC,
    pub(crate) flash: &'a mut pac::FLASH,
}

/// On the way to the PLL.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Supply,
    Voltage,
    Pll,
    Switch,
}

/// Boards with this part have crystals of 8, 16 or 25 MHz, or a clock from elsewhere; a PLL that is set for another one than there is would drive the core
/// out of its range. The internal oscillator is the same on all of them.
impl ClockControl for Clocks<'_> {
    type Step = Step;
    const STEPS: &'static [(Step, &'static str)] = &[
        (Step::Supply, "supply of the core"),
        (Step::Voltage, "voltage for 400 MHz"),
        (Step::Pll, "PLL lock"),
        (Step::Switch, "switch to the PLL"),
    ];

    fn ask(&mut self, step: Step) {
        match step {
            // By its own regulator, without saying which the voltage cannot be set.
            Step::Supply => {
                (self.pwr.cr3())
                    .modify(|_, w| w.scuen().set_bit().ldoen().set_bit().bypass().clear_bit());
            }
            Step::Voltage => {
                // SAFETY: 3 is scale 1, the highest that needs no overdrive.
                self.pwr.d3cr().modify(|_, w| unsafe { w.vos().bits(3) });
            }
            Step::Pll => {
                // SAFETY: the fields take these numbers: 64 MHz by 4 into the VCO, 800 MHz out of it, of which the core takes half.
                unsafe {
                    (self.rcc.pllckselr()).modify(|_, w| w.pllsrc().hsi().divm1().bits(4));
                    (self.rcc.pll1divr()).write(|w| w.divn1().bits(50 - 1).divp1().bits(2 - 1));
                }
                self.rcc.pllcfgr().modify(|_, w| {
                    let w = w.pll1vcosel().wide_vco().pll1rge().range8();
                    let w = w.pll1fracen().reset().divp1en().enabled();
                    w.divq1en().disabled().divr1en().disabled()
                });
                self.rcc.cr().modify(|_, w| w.pll1on().set_bit());
            }
            // With wait states and prescalers for 400 MHz.
            Step::Switch => {
                // SAFETY: two wait states and the signal delay for a bus of 200 MHz at scale 1.
                (self.flash.acr()).write(|w| unsafe { w.latency().bits(2).wrhighfreq().bits(2) });
                // The bus at half the core's clock, the peripherals at a quarter.
                (self.rcc.d1cfgr()).modify(|_, w| w.d1cpre().div1().hpre().div2().d1ppre().div2());
                (self.rcc.d2cfgr()).modify(|_, w| w.d2ppre1().div2().d2ppre2().div2());
                self.rcc.d3cfgr().modify(|_, w| w.d3ppre().div2());
                // Prescalers act after at most so many cycles; the buses must not get the PLL's clock undivided.
                cortex_m::asm::delay(16);
                self.rcc.cfgr().modify(|_, w| w.sw().pll1());
            }
        }
    }

    fn has_come(&self, step: Step) -> bool {
        let is_supplied = || self.pwr.csr1().read().actvosrdy().bit_is_set();
        match step {
            Step::Supply => is_supplied(),
            Step::Voltage => is_supplied() && self.pwr.d3cr().read().vosrdy().bit_is_set(),
            Step::Pll => self.rcc.cr().read().pll1rdy().bit_is_set(),
            Step::Switch => self.rcc.cfgr().read().sws().is_pll1(),
        }
    }

    fn stay(&mut self) {
        self.rcc.cfgr().modify(|_, w| w.sw().hsi());
        (self.rcc.d1cfgr()).modify(|_, w| w.hpre().div1().d1ppre().div1());
        (self.rcc.d2cfgr()).modify(|_, w| w.d2ppre1().div1().d2ppre2().div1());
        self.rcc.d3cfgr().modify(|_, w| w.d3ppre().div1());
    }
}

engram_cortex_m::independent_watchdog!(pac::IWDG);

/// Revision Y of the part may give wrong data from its bus RAM, where all statics are, unless it reads one access at a time (ES0392).
pub(crate) fn read_ram_in_turn(dbgmcu: &pac::DBGMCU, axi: &pac::AXI) {
    const REVISION_V: u16 = 0x2000;
    if dbgmcu.idc().read().rev_id().bits() < REVISION_V {
        (axi.targ7_fn_mod()).modify(|_, w| w.read_iss_override().set_bit());
    }
}

/// Turns on the ports A, C and D, USART3, SPI1 and TIM4. The first two have the internal oscillator for a clock, whatever the core runs on.
pub(crate) fn turn_on(rcc: &mut pac::RCC) {
    (rcc.ahb4enr()).modify(|_, w| {
        w.gpioaen()
            .set_bit()
            .gpiocen()
            .set_bit()
            .gpioden()
            .set_bit()
    });
    (rcc.apb1lenr()).modify(|_, w| w.usart3en().set_bit().tim4en().set_bit());
    rcc.apb2enr().modify(|_, w| w.spi1en().set_bit());
    (rcc.d2ccip2r()).modify(|_, w| w.usart234578sel().hsi_ker());
    rcc.d1ccipr().modify(|_, w| w.ckpersel().hsi());
    rcc.d2ccip1r().modify(|_, w| w.spi123sel().per());
    // A peripheral answers some cycles of its bus after it has got its clock.
    let _ = rcc.apb2enr().read();
    cortex_m::asm::delay(16);
}

/// Whether the watchdog restarted the part; the flags of the last reset are cleared.
pub(crate) fn restarted_by_watchdog(rcc: &mut pac::RCC) -> bool {
    let was = rcc.rsr().read().iwdg1rstf().bit_is_set();
    rcc.rsr().modify(|_, w| w.rmvf().set_bit());
    was
}
