// What a supervisor does with a call on his own phone: listen, whisper, barge in, take over (监听, 耳语, 强插, 强接).
import { api, ask, button, tag } from '/parts.js';
import { t } from '/text.js';

const own = (l) => l.party.startsWith('supervisor-');
/// A leg by name, a supervisor's with what is heard of him.
export const partyName = (l) => (own(l) ? `${t().mode[l.mode ?? 'listen']} ${l.party.slice(11)}` : t().party(l.party));

/// 队列监听: what a supervisor's phone hears by itself now.
export function hearing(s, view, numbers) {
  const ear = view.queue_listeners.find((l) => l.seat === s.seat);
  return { queues: view.counters.queues.map((q) => q.queue), ear: ear && { up: ear.up, queue: ear.queue, who: ear.call ? numbers.get(ear.call) : null } };
}
export function queueListening(s, command) {
  const path = `/seats/${s.seat}/listen_queue`;
  if (s.ear) return [tag(t().hears(s.ear.queue ?? t().all_queues, s.ear.who), 'blue'), button('stop_listening_queue', t().stop_listening, () => command('DELETE', path))];
  if (!s.supervisor || !s.registered || !['ready', 'not_ready', 'wrap_up', 'listening'].includes(s.state)) return [];
  const listen = (queue) => api('POST', path, queue ? { queue } : {});
  if (s.queues.length < 2) return [button('listen_queue', t().listen_queue, () => command('POST', path, {}))];
  const choices = [['', t().all_queues], ...s.queues.map((q) => [q, q])];
  return [button('listen_queue', t().listen_queue, () => ask({ title: t().ask_listen_queue(s.seat), yes: t().listen, fields: [{ name: 'queue', label: t().ask_queue, choices }], run: ({ queue }) => listen(queue) }))];
}

/// 自检呼入 of a trunk: how its last one went, and one now.
export function selfTest(trunk, view, command) {
  const s = view.self_tests.find((of) => of.trunk === trunk);
  if (!s) return [];
  const bad = s.last?.failed && s.deaf_since ? tag(`${t().self_test} ✕ ${t().self_test_step[s.last.failed] ?? s.last.failed}`, 'hot') : null;
  if (bad) bad.title = s.last.cause ?? '';
  const now = s.running ? tag(`${t().self_test} … ${t().self_test_step[s.awaits] ?? ''}`, 'blue') : command ? button(`self_test-${trunk}`, t().self_test, () => command('POST', '/self_tests', { trunk })) : null;
  return [bad, now].filter(Boolean);
}

/// Orders about a waiting call: a free seat rings now, or the call stands earlier.
export function orders(c, seats) {
  const path = `/calls/${c.call}`, alive = () => c.position != null;
  const free = seats.filter((s) => s.registered && ['ready', 'wrap_up'].includes(s.state)).map((s) => [s.seat, `${s.seat} · ${t().state[s.state]}`]);
  const send = () => ask({ title: t().ask_reassign(c.caller || t().unknown), yes: t().reassign, alive, fields: [{ name: 'seat', label: t().ask_which, choices: free }], run: (body) => api('POST', `${path}/reassign`, { to: body }) });
  const first = () => ask({ title: t().ask_priority(c.caller || t().unknown), yes: t().priority, alive, fields: [{ name: 'ahead', label: t().ask_ahead, value: c.ahead_s || 60, kind: 'numeric' }], run: ({ ahead }) => api('POST', `${path}/priority`, { ahead_s: Number(ahead) }) });
  return [...(free.length ? [button('reassign', t().reassign, send)] : []), button('priority', c.ahead_s ? `${t().priority} +${c.ahead_s} s` : t().priority, first)];
}
/// 呼叫班长: the seat asks, a supervisor accepts; who comes is shown.
export function assistance(c, me, leads, command) {
  const path = `/calls/${c.call}/assist`;
  if (!c.assist) return me.seat && c.seat === me.seat && !leads ? [button('assist', t().assist, () => command('POST', path))] : [];
  const word = tag(c.assist.taken ? t().comes(c.assist.taken) : t().asks(c.assist.seat), 'hot');
  if (me.seat === c.assist.seat) return [word, button('assist_cancel', t().cancel, () => command('DELETE', path))];
  if (!leads || c.assist.taken || !me.seat) return [word];
  return [word, ...['barge', 'whisper'].map((mode) => button(`accept_${mode}`, `${t().come} · ${t().mode[mode]}`, () => command('POST', `${path}/accept`, { seat: me.seat, mode })))];
}
/// The buttons of one call. A supervisor with a seat commands his own phone, others any that is in the call.
export function supervision(c, seat, command, listen) {
  const legs = c.legs.filter(own);
  const leg = legs.find((l) => !seat || l.party === `supervisor-${seat}`);
  if (!leg) return [button('listen', t().listen, listen, c.phones ? {} : { disabled: true, title: t().no_phone })];
  const phone = leg.party.slice(11), path = `/calls/${c.call}/listen`;
  const change = (mode) => () => command('POST', path, { seat: phone, mode });
  const talks = c.legs.some((l) => l.party.startsWith('seat-') && (l.state === 'up' || l.state === 'held'));
  const modes = ['listen', 'whisper', ...(talks ? ['barge'] : [])].filter((mode) => mode !== leg.mode);
  const take = () => ask({ title: t().ask_take_over(c.caller || t().unknown), yes: t().mode.take_over, run: () => api('POST', path, { seat: phone, mode: 'take_over' }) });
  return [...modes.map((mode) => button(mode, t().mode[mode], change(mode))), button('take_over', t().mode.take_over, take),
    button('unlisten', t().stop_listening, () => command('DELETE', `${path}/${phone}`))];
}
