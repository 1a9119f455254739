// The page of a flight: orders, what the flight says, strip charts, and the 3-D view.
'use strict';
const WINDOW_S = 10, MOST = 6000;
const $ = id => document.getElementById(id);
let hello = null, standing = { phase: 'connecting', wiped: false }, steps = [], newest = null, batch = null, marks = [], charts = [], drawn = false, over = false;
const colour = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
const number = (value, digits = 2) => value === null || value === undefined ? 'none' : value.toFixed(digits);

// Orders.
async function order(what) {
  $('error').textContent = '';
  try {
    const answer = await fetch('/order', { method: 'POST', body: JSON.stringify(what) });
    if (!answer.ok) $('error').textContent = await answer.text();
  } catch { $('error').textContent = 'The flight does not answer.'; }
  show();
}
$('start').onclick = () => order('start');
$('stop').onclick = () => order('stop');
$('wipe').onchange = event => order({ wipe_memory: event.target.checked });

// What the flight says.
const events = new EventSource('/events');
events.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  ({ hello: greet, standing: stand, steps: take, event: note, end: finish })[message.kind]?.(message);
};
events.onerror = () => { if (!over) { standing.phase = events.readyState === 2 ? 'gone' : 'connecting'; show(); } };

function greet(message) {
  if (hello) { steps = []; marks = []; $('events').replaceChildren(); }
  hello = message;
  document.title = `${hello.plant} - engram fly`;
  $('title').textContent = hello.plant;
  $('about').textContent = `${hello.flight.policy ? 'policy' : 'classical controller'} on ${hello.flight.board}, ${number(1 / hello.period_s, 0)} Hz, task ${hello.flight.task_seed}`;
  $('changes').replaceChildren(...hello.changes.map(([name, summary]) => {
    const button = document.createElement('button');
    Object.assign(button, { textContent: name, title: summary, onclick: () => order({ change: name }) });
    button.dataset.change = name;
    return button;
  }));
  makeCharts();
  if (shape() === 'pendulum' && !newest) Object.assign(eye, { turn: -1.25, tilt: 0.16, far: 4.4 });
  $('view').hidden = !shape();
  document.querySelector('.top').style.gridTemplateColumns = shape() ? '' : '1fr';
  show();
}
function stand(message) { standing = message; show(); }
function take(message) {
  batch = message;
  steps.push(...message.steps);
  newest = steps.at(-1);
  const old = steps.findIndex(step => step.time_s >= newest?.time_s - WINDOW_S);
  steps.splice(0, Math.max(old, steps.length - MOST, 0));
}
function note({ event }) {
  const line = document.createElement('li'), time = document.createElement('time');
  time.textContent = `${number(event.time_s)} s`;
  line.append(time, ` ${event.kind === 'change' ? 'the plant changes: ' : event.kind === 'asked' ? 'asked for: ' : ''}${event.text}`);
  $('events').prepend(line);
  while ($('events').childElementCount > 60) $('events').lastChild.remove();
  if (event.kind === 'change' || event.kind === 'asked') marks = [...marks, event].slice(-40);
}
function finish(message) {
  over = true;
  events.close();
  standing.phase = 'over';
  if (message.error) $('error').textContent = message.error;
  hello.summary = message.summary;
  show();
}

function show() {
  const words = { waiting: 'ready: press Start', flying: 'flying', stopping: 'stopping', over: 'the flight is over', gone: 'the program is gone', connecting: 'connecting' };
  const flies = standing.phase === 'flying';
  $('status').textContent = words[standing.phase];
  $('start').disabled = standing.phase !== 'waiting';
  $('stop').disabled = !flies && standing.phase !== 'waiting';
  $('wipe').disabled = !(hello?.flight.policy && (flies || standing.phase === 'waiting'));
  $('wipe').checked = standing.wiped;
  for (const button of $('changes').children) button.disabled = !flies;
  const facts = [], add = (name, value, how = '') => facts.push([name, value, how]);
  if (newest && hello) {
    const error = distance(newest);
    if (error !== null) add('error', shape() === 'pendulum' ? `${number(error * 180 / Math.PI, 1)} deg` : `${number(error * 100, 1)} cm`);
    if (hello.has_goal) add('goal', newest.holds ? 'held' : 'not held', newest.holds ? 'good' : 'bad');
    add('controller', batch.state, batch.state === 'armed' ? '' : 'bad');
    if (batch.faults && batch.faults !== 'none') add('faults', batch.faults, 'bad');
    if (batch.compared) add('words equal the host\'s', `${batch.compared - batch.different} of ${batch.compared} steps`, batch.different ? 'bad' : 'good');
    add('step, wall clock', `${number(newest.step_us / 1000)} ms`);
    add('longest step', `${number(batch.worst_us / 1000)} ms`);
    add('steps behind the clock', String(batch.late), batch.late ? 'bad' : '');
  }
  const end = hello?.summary;
  if (end) {
    add('steps', String(end.steps));
    add('deadlines missed on the board', String(end.deadline_misses));
    add('envelope violations', String(end.envelope_violations));
    if (end.held_share !== null) add('goal held', `${number(100 * end.held_share, 1)} % of the steps`);
    if (end.log) add(end.log_complete ? 'log' : 'log, NOT whole', end.log);
  }
  $('facts').replaceChildren(...facts.flatMap(([name, value, how]) => {
    const term = document.createElement('dt'), detail = document.createElement('dd');
    term.textContent = name; detail.textContent = value; detail.className = how;
    return [term, detail];
  }));
}

// Canvases.
function ready(canvas) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext('2d');
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return [pen, width, height];
}

// Strip charts: one for each unit, and for each first word of what has none.
function makeCharts() {
  const groups = new Map();
  const add = (title, label, from, index) => {
    const lines = groups.get(title) ?? [];
    if (lines.length >= 6) return add(title + ', more', label, from, index);
    groups.set(title, [...lines, { label, from, index }]);
  };
  hello.state.forEach((name, index) => {
    const [, label, unit] = name.match(/^(.+?)_((?:k?m|rad|deg|N|Nm|s|K|V|A)(?:2|3)?(?:_per_s2?)?)$/) ?? [, name, null];
    add(unit ? unit.replaceAll('_per_', '/') : name.split('_')[0], unit ? label : name.split('_').slice(1).join(' ') || name, 'plant', index);
  });
  hello.actions.forEach(({ name, unit }, index) => add(unit === '1' ? 'commands' : `commands, ${unit}`, name, 'command', index));
  charts = [...groups].map(([title, lines]) => {
    const card = document.createElement('section'), head = document.createElement('h2'), canvas = document.createElement('canvas');
    card.className = 'card';
    const bold = document.createElement('b'); bold.textContent = title; head.append(bold);
    lines.forEach(({ label }, at) => { const key = document.createElement('span'); key.textContent = label.replaceAll('_', ' '); key.style.color = `var(--c${at})`; head.append(key); });
    card.append(head, canvas);
    return { card, canvas, lines };
  });
  $('charts').replaceChildren(...charts.map(({ card }) => card));
}
function drawChart({ canvas, lines }) {
  const [pen, width, height] = ready(canvas);
  const end = Math.max(newest?.time_s ?? 0, WINDOW_S), left = 44, bottom = height - 16;
  let low = Infinity, high = -Infinity;
  for (const step of steps) for (const { from, index } of lines) {
    const value = step[from][index];
    if (value !== null && value !== undefined) { low = Math.min(low, value); high = Math.max(high, value); }
  }
  if (low > high) [low, high] = [-1, 1];
  const middle = (low + high) / 2, half = Math.max((high - low) / 2, 0.05 * Math.abs(middle), 0.01), room = 0.16 * half;
  low = middle - half - room; high = middle + half + room;
  const x = time => left + (time - end + WINDOW_S) / WINDOW_S * (width - left), y = value => bottom - (value - low) / (high - low) * (bottom - 4);
  pen.font = '11px system-ui,sans-serif'; pen.fillStyle = colour('soft'); pen.strokeStyle = colour('rule'); pen.lineWidth = 1;
  const span = high - low, digits = span > 20 ? 0 : span > 2 ? 1 : 2;
  for (const value of [low + room, (low + high) / 2, high - room]) {
    pen.beginPath(); pen.moveTo(left, y(value)); pen.lineTo(width, y(value)); pen.stroke();
    pen.fillText(number(value, digits), 2, y(value) + 4);
  }
  for (let time = Math.ceil(end - WINDOW_S); time <= end; time += 1) if (time % 2 === 0) pen.fillText(`${time} s`, Math.min(x(time) - 8, width - 26), height - 3);
  pen.strokeStyle = colour('bad'); pen.setLineDash([3, 3]);
  for (const { time_s } of marks) if (time_s > end - WINDOW_S) { pen.beginPath(); pen.moveTo(x(time_s), 2); pen.lineTo(x(time_s), bottom); pen.stroke(); }
  pen.setLineDash([]); pen.lineWidth = 1.6;
  lines.forEach(({ from, index }, at) => {
    pen.strokeStyle = colour(`c${at}`); pen.beginPath();
    let apart = true;
    for (const step of steps) {
      const value = step[from][index];
      if (value === null || value === undefined) { apart = true; continue; }
      pen[apart ? 'moveTo' : 'lineTo'](x(step.time_s), y(value)); apart = false;
    }
    pen.stroke();
  });
}
function drawAttention() {
  const rows = batch?.attention ?? [];
  $('attention').hidden = $('attention-title').hidden = !rows.length;
  if (!rows.length) return;
  const [pen, width, height] = ready($('attention')), most = Math.max(...rows.flat(), 1e-6);
  rows.forEach((row, layer) => row.forEach((share, age) => {
    pen.globalAlpha = 0.06 + 0.94 * share / most; pen.fillStyle = colour('accent');
    const cell = width / row.length, line = height / rows.length;
    pen.fillRect(age * cell, layer * line + 1, Math.max(cell - 0.5, 0.5), line - 2);
  }));
  pen.globalAlpha = 1;
}

// The 3-D view: x forward, y left, z up, seen from a point that the mouse moves around.
const eye = { turn: -1, tilt: 0.42, far: 2.7 };
const at = name => hello.state.indexOf(name);
function shape() {
  if (!hello) return null;
  if (hello.plant === 'pendulum') return 'pendulum';
  if (['x_m', 'y_m', 'z_m'].some(name => at(name) < 0)) return null;
  return at('attitude_w') < 0 ? 'place' : 'craft';
}
function distance(step) {
  if (shape() === 'pendulum') { const angle = step.plant[at('angle_rad')]; return Math.abs(Math.atan2(Math.sin(angle), Math.cos(angle))); }
  return shape() === 'craft' ? Math.hypot(...place(step)) : null;
}
const place = step => ['x_m', 'y_m', 'z_m'].map(name => step.plant[at(name)] ?? 0);
function turned([w, x, y, z], [a, b, c]) {
  const u = 2 * (y * c - z * b), v = 2 * (z * a - x * c), t = 2 * (x * b - y * a);
  return [a + w * u + y * t - z * v, b + w * v + z * u - x * t, c + w * t + x * v - y * u];
}
function drawScene() {
  const [pen, width, height] = ready($('scene'));
  const kind = shape(), focus = kind === 'place' && newest ? place(newest) : [0, 0, 0];
  const [st, ct, sl, cl] = [Math.sin(eye.turn), Math.cos(eye.turn), Math.sin(eye.tilt), Math.cos(eye.tilt)], zoom = 0.95 * Math.min(width, height * 1.5);
  const project = point => {
    const [x, y, z] = point.map((value, axis) => value - focus[axis]);
    const across = -x * st + y * ct, ahead = x * ct + y * st;
    const deep = Math.max(eye.far - ahead * cl - z * sl, 0.05), size = zoom / deep;
    return [width / 2 + across * size, height / 2 - (z * cl - ahead * sl) * size, size];
  };
  const path = (points, close) => { pen.beginPath(); points.forEach((point, index) => pen[index ? 'lineTo' : 'moveTo'](...project(point).slice(0, 2))); if (close) pen.closePath(); };
  const line = (points, name, thick = 1) => { path(points); pen.strokeStyle = colour(name); pen.lineWidth = thick; pen.lineCap = 'round'; pen.stroke(); };
  const disc = (middle, radius, name, q = [1, 0, 0, 0], alpha = 0.85) => {
    const rim = Array.from({ length: 28 }, (_, k) => turned(q, [radius * Math.cos(k * Math.PI / 14), radius * Math.sin(k * Math.PI / 14), 0]).map((value, axis) => value + middle[axis]));
    path(rim, true); pen.globalAlpha = alpha; pen.fillStyle = colour(name); pen.fill(); pen.globalAlpha = 1; pen.strokeStyle = colour(name); pen.lineWidth = 1; pen.stroke();
  };
  const ball = (point, radius, name) => { const [x, y, size] = project(point); pen.beginPath(); pen.arc(x, y, radius * size, 0, 2 * Math.PI); pen.fillStyle = colour(name); pen.fill(); };
  const floor = kind === 'pendulum' ? -1.25 : kind === 'craft' ? -0.8 : -focus[2], [fx, fy] = focus.map(Math.round);
  for (let k = -4; k <= 4; k++) {
    const s = k / 2;
    line([[fx + s, fy - 2, floor], [fx + s, fy + 2, floor]], 'rule'); line([[fx - 2, fy + s, floor], [fx + 2, fy + s, floor]], 'rule');
  }
  pen.fillStyle = colour('soft'); pen.font = '12px system-ui,sans-serif';
  for (const [word, point] of [['x', [fx + 2.1, fy, floor]], ['y', [fx, fy + 2.1, floor]]]) pen.fillText(word, ...project(point).slice(0, 2));
  const trail = steps.filter(step => step.time_s > newest.time_s - 4);
  if (kind === 'pendulum') {
    const angle = newest?.plant[at('angle_rad')] ?? Math.PI, end = [Math.sin(angle), 0, Math.cos(angle)];
    line([[0, 0, floor], [0, 0, 0]], 'soft', 5); line([[0, 0, 0.85], [0, 0, 1.15]], 'good', 2);
    line(trail.map(({ plant }) => [Math.sin(plant[at('angle_rad')]), 0, Math.cos(plant[at('angle_rad')])]), 'c5', 1);
    const limit = hello.actions[0], torque = (newest?.command[0] ?? 0) / Math.max(Math.abs(limit.max), 1e-9);
    line(Array.from({ length: 25 }, (_, k) => { const a = angle + torque * 1.6 * k / 24; return [0.3 * Math.sin(a), 0, 0.3 * Math.cos(a)]; }), 'c1', 4);
    line([[0, 0, 0], end], 'ink', 6); ball([0, 0, 0], 0.05, 'soft'); ball(end, 0.11, newest?.holds ? 'good' : 'accent');
  } else if (kind) {
    const here = newest ? place(newest) : [0, 0, 0], q = kind === 'craft' && newest ? ['w', 'x', 'y', 'z'].map(axis => newest.plant[at('attitude_' + axis)]) : [1, 0, 0, 0];
    if (kind === 'craft') for (const axis of [0, 1, 2]) line([-0.15, 0.15].map(value => [0, 1, 2].map(k => k === axis ? value : 0)), 'good', 1.5);
    line(trail.map(place), 'c5', 1.2); line([here, [here[0], here[1], floor]], 'rule', 1); disc([here[0], here[1], floor], 0.1, 'rule');
    if (kind === 'place') ball(here, 0.09, 'accent');
    else {
      // Front right, back right, back left, front left; the size is hidden, and not the craft's.
      const rotors = [[1, -1], [-1, -1], [-1, 1], [1, 1]].map(([x, y]) => [0.2 * x, 0.2 * y, 0]), moved = point => turned(q, point).map((value, axis) => value + here[axis]);
      for (const rotor of rotors) line([here, moved(rotor)], 'ink', 4);
      rotors.forEach((rotor, index) => {
        const thrust = newest?.plant[at('rotor_front_right') + index] ?? 0;
        disc(moved(rotor), 0.13, rotor[0] > 0 ? 'c1' : 'c0', q, 0.35); line([moved(rotor), moved([rotor[0], rotor[1], 0.35 * thrust])], 'c3', 4);
      });
      ball(here, 0.05, 'ink');
    }
  }
}
const scene = $('scene');
scene.onpointerdown = event => scene.setPointerCapture(event.pointerId);
scene.onpointermove = event => {
  if (!event.buttons) return;
  eye.turn -= event.movementX * 0.008; eye.tilt = Math.min(1.5, Math.max(-0.3, eye.tilt + event.movementY * 0.008)); drawn = false;
};
scene.addEventListener('wheel', event => { event.preventDefault(); eye.far = Math.min(12, Math.max(1.2, eye.far * Math.exp(event.deltaY * 0.001))); drawn = false; }, { passive: false });
addEventListener('resize', () => { drawn = false; });
matchMedia('(prefers-color-scheme:dark)').addEventListener('change', () => { drawn = false; });

// One drawing for each frame in which something is new.
let seen = null, told = 0;
function frame(now) {
  if (hello && (!drawn || seen !== newest)) {
    drawn = true; seen = newest;
    if (shape()) drawScene();
    charts.forEach(drawChart);
    drawAttention();
    $('clock').textContent = `${number(newest?.time_s ?? 0)} s`;
    if (now - told > 200) { told = now; show(); }
  }
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
