// What goes on now, in numbers: calls that wait, seats by what they do (实时受理数、服务、空闲、离席、关闭).
import { $, el, rows, timer } from '/parts.js';
import { t } from '/text.js';

const figure = (word, n, hot) => el('span', { className: hot ? 'hot' : '' }, word, el('b', { textContent: n }));
const figures = (counts) => Object.entries(t().work).map(([key, word]) => figure(word, counts[key], key === 'waiting' && counts.waiting > counts.idle));
const oldest = (counts) => (counts.oldest_since ? el('span', {}, t().oldest, timer(counts.oldest_since, 8, 10)) : null);

/// The centre's beside the day's; each queue's above those who wait, where there is more than one.
export function drawCounters({ centre, queues }) {
  $('work').replaceChildren(...[...figures(centre), oldest(centre)].filter(Boolean));
  rows($('queues'), queues.length > 1 ? queues : [], (one) => one.queue, (one) => el('div', { className: 'counters' }, el('span', { className: 'name', textContent: one.queue }), figure(t().handled, one.handled), figures(one), oldest(one)));
}
