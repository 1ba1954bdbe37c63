// Small parts of the page. All text goes through textContent: what a caller sends can never become markup.
import { t } from '/text.js';

export const $ = (id) => document.getElementById(id);
export const el = (tag, props = {}, ...children) => {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) key.includes('-') ? e.setAttribute(key, value) : (e[key] = value);
  e.append(...children.flat().filter((c) => c != null));
  return e;
};
export const tag = (text, tone = '') => el('span', { className: `tag ${tone}`, textContent: text });

/// A button with a name that survives a redraw of its row, so that the focus stays.
export const button = (act, text, run, props = {}) => {
  const e = el('button', { type: 'button', textContent: text, onclick: run, ...props });
  e.dataset.act = act;
  return e;
};

/// Draw `items` into `box`, touching only what changed: a button is never taken away under a finger.
export function rows(box, items, key, build, empty) {
  const old = new Map([...box.children].map((e) => [e.dataset.key, e]));
  const wanted = items.map((item) => {
    const name = key(item), print = JSON.stringify(item) + t().name;
    const kept = old.get(name);
    old.delete(name);
    if (kept?.print === print) return kept;
    const fresh = build(item);
    fresh.dataset.key = name; fresh.print = print;
    if (kept) {
      const act = kept.contains(document.activeElement) && document.activeElement.dataset.act;
      kept.replaceWith(fresh);
      if (act) fresh.querySelector(`[data-act="${act}"]`)?.focus();
    }
    return fresh;
  });
  for (const gone of old.values()) gone.remove();
  if (!wanted.length && empty) { const none = el('p', { className: 'dim', textContent: empty }); none.dataset.key = 'none'; wanted.push(none); }
  wanted.forEach((e, n) => { if (box.children[n] !== e) box.insertBefore(e, box.children[n] ?? null); });
}

// The server's clock minus ours, ms: timers agree on every screen.
let ahead = 0;
export const setClock = (micros) => { ahead = micros / 1000 - Date.now(); };
export const now = () => Date.now() + ahead;

export function timer(micros, warm = 1e9, hot = 1e9) {
  const e = el('span', { className: 'timer' });
  if (!micros) return e; // never happened
  Object.assign(e.dataset, { from: micros / 1000, warm, hot });
  show(e);
  return e;
}
const pad = (n) => String(n).padStart(2, '0');
export function span(s) {
  if (s < 60) return `${s.toFixed(1)} s`;
  const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
  return h ? `${h}:${pad(m)}:${pad(Math.floor(s % 60))}` : `${m}:${pad(Math.floor(s % 60))}`;
}
function show(e) {
  const s = Math.max(0, (now() - e.dataset.from) / 1000);
  e.textContent = span(s);
  e.classList.toggle('hot', s >= e.dataset.hot);
  e.classList.toggle('warm', s >= e.dataset.warm && s < e.dataset.hot);
}
export const tick = () => document.querySelectorAll('.timer[data-from]').forEach(show);

export function tell(text, bad = false) {
  const p = el('p', { className: bad ? 'bad' : '', textContent: text });
  if (bad) p.setAttribute('role', 'alert');
  $('told').append(p);
  setTimeout(() => p.remove(), bad ? 9000 : 3000);
}

/// Ask the server. A refusal is an Error with the server's own words.
async function send(method, url, body, headers = {}) {
  let r;
  try {
    r = await fetch(url, { method, headers: body ? { 'content-type': 'application/json', ...headers } : headers, body: body && JSON.stringify(body) });
  } catch { throw new Error(t().no_server); }
  if (r.ok) return r.status === 204 ? null : r.json();
  const p = await r.json().catch(() => ({ detail: r.statusText }));
  throw Object.assign(new Error(`${t().problem[p.code] ?? p.code ?? r.status}: ${p.detail}`), { status: r.status });
}
/// Ask the API.
export const api = (method, path, body, headers) => send(method, `/api/v1${path}`, body, headers).catch((error) => { throw error.status === 401 ? Object.assign(new Error(t().signed_out), { status: 401 }) : error; });
/// The token of a person is shown once and kept by nobody: the browser has a session from then on.
export const askToken = () => ask({ title: t().log_in, yes: t().log_in, fields: [{ name: 'token', label: t().ask_token, secret: true, max: 4096 }], run: (body) => send('POST', '/login', body).then(() => location.reload()) });
export const logOut = () => send('POST', '/logout').then(() => location.reload()).catch((error) => tell(error.message, true));

let asked = null;
/// Ask a person: fields are {name, label, value, choices, optional}. The answer is carried out by `run`; a refusal is shown and can be
/// corrected. `alive` tells whether what it is about still exists; when not, the question goes away.
export function ask({ title, fields = [], yes, stop = false, wide = false, alive = () => true, run }) {
  const box = $('ask');
  asked = { alive };
  box.className = wide ? 'wide' : '';
  $('ask-title').textContent = title;
  $('ask-error').textContent = '';
  $('ask-yes').textContent = yes; $('ask-yes').className = stop ? 'main stop' : 'main'; $('ask-yes').hidden = !run;
  $('ask-no').textContent = run ? t().no : t().ok;
  const inputs = fields.map((f) => f.choices
    ? el('select', { name: f.name }, f.choices.map(([value, text]) => el('option', { value, textContent: text, selected: value === f.value })))
    : el('input', { name: f.name, value: f.value ?? '', required: !f.optional, autocomplete: f.secret ? 'current-password' : 'off', type: f.secret ? 'password' : 'text', maxLength: f.max ?? 120, inputMode: f.kind ?? 'text' }));
  $('ask-fields').replaceChildren(...fields.map((f, n) => f.shown ?? el('label', {}, f.label, inputs[n])));
  $('ask-no').onclick = () => box.close();
  box.onclose = () => { asked = null; };
  box.querySelector('form').onsubmit = async (e) => {
    e.preventDefault();
    $('ask-yes').disabled = true;
    try {
      await run(Object.fromEntries(inputs.map((i) => [i.name, i.value.trim()])));
      box.close();
      tell(`${title}: ${t().done}`);
    } catch (error) { $('ask-error').textContent = error.message; }
    $('ask-yes').disabled = false;
  };
  if (!box.open) box.showModal();
  // A question that ends something waits for a decision, not for a reflex.
  (inputs[0] ?? (stop ? $('ask-no') : $('ask-yes'))).focus();
}
/// Take away a question whose call has ended.
export function checkAsked() {
  if (asked && !asked.alive()) { $('ask').close(); tell(t().gone, true); }
}
export const asking = () => asked != null;
