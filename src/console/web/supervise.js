// What a supervisor does with a call on his own phone: listen, whisper, barge in, take over (监听, 耳语, 强插, 强接).
import { api, ask, button } from '/parts.js';
import { t } from '/text.js';

const own = (l) => l.party.startsWith('supervisor-');
/// A leg by name, a supervisor's with what is heard of him.
export const partyName = (l) => (own(l) ? `${t().mode[l.mode ?? 'listen']} ${l.party.slice(11)}` : t().party(l.party));

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
