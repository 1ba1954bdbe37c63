// Why a call rings where it rings, and why a seat gets nothing (为什么): the reasons of the server, in its own words.
import { api, ask, button, el, tell } from '/parts.js';
import { t } from '/text.js';

const time = (micros) => new Date(micros / 1000).toLocaleTimeString(t().name === 'zh' ? 'zh-CN' : 'en-GB');
async function show(path, title) {
  try {
    const reasons = await api('GET', `${path}/why?lang=${t().name}`);
    const lines = reasons.map((r) => el('li', {}, el('small', { className: 'dim', textContent: `${time(r.at)} ` }), r.text));
    ask({ title, fields: [{ shown: el('ul', { className: 'why' }, lines.length ? lines : el('li', { textContent: t().no_reason })) }] });
  } catch (error) { tell(error.message, true); }
}
export const whyCall = (c, name) => button('why', t().why, () => show(`/calls/${c.call}`, t().why_call(name)));
export const whySeat = (s) => button('why', t().why, () => show(`/seats/${s.seat}`, t().why_seat(s.seat)));
