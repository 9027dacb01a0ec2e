import { badge, clock, duration, el, keyed, number, percent, setBadge, setText, shortID, shortToken, time, timeText } from '../dom.js'
import { live } from '../live.js'
import { plot } from '../plot.js'

const mostNews = 15
const states = ['pending', 'succeeded', 'refused', 'expired', 'failed', 'not_found', 'abandoned', 'unknown']
const describeEvery = 15 // ticks: nobody wants to hear of a plot each second

// recent events stay while other views are shown.
let recent = []
live.addEventListener('news', ({ detail }) => {
  recent = [...detail.reverse(), ...recent].slice(0, mostNews)
})

function tile(name, href) {
  const value = el('strong', {}, '–')
  const more = el('span.soft', {}, '')
  const label = el('span.name', {}, name)
  const element = href ? el('a.tile', { href }, label, value, more) : el('div.tile', {}, label, value, more)
  return { element, value, more, set: (main, rest = '') => (setText(value, main), setText(more, rest)) }
}

export function overview() {
  const ready = el('p.health', { role: 'status' }, 'Asking the bridge …')
  const tiles = {
    saved: tile('Polls saved'),
    load: tile('Polls asked'),
    upstream: tile('Upstream answers in'),
    breaker: tile('Breaker'),
    watches: tile('Sessions watched', '#/sessions?state=pending'),
    waiting: tile('Deliveries waiting', '#/deliveries?state=waiting'),
    dead: tile('Deliveries dead', '#/deliveries?state=dead'),
    subscriptions: tile('Subscriptions', '#/subscriptions'),
  }
  const polls = plot('Polls a second', [
    { label: 'asked', column: 1, colour: '--asked', fill: '--asked-fill' },
    { label: 'sent to the upstream', column: 2, colour: '--sent', fill: '--sent-fill' },
  ], '')
  const upstream = plot('The upstream', [
    { label: 'time to answer, ms', column: 3, colour: '--asked' },
    { label: 'failures a second', column: 4, colour: '--failed', fill: '--failed-fill' },
  ], '')
  const stateList = el('ul.states')
  const news = el('ol.news')
  const noNews = el('p.soft', {}, 'Nothing has happened since this page was opened. Events show up here as they happen.')
  const hint = el('p.card', { hidden: true }, 'No client has asked for anything yet. Send status requests to the bridge instead of to the upstream: ', el('code', {}, 'pollbridge demo'), ' shows what happens then.')
  let ticks = 0

  const bars = states.map((state) => {
    const count = el('strong', {}, '0')
    return { state, count, element: el('li', {}, el('a', { href: `#/sessions?state=${state}` }, badge(state), count)) }
  })
  stateList.append(...bars.map((bar) => bar.element))

  function showNews() {
    noNews.hidden = recent.length > 0
    keyed(news, recent, (event) => event.id, (event) => ({
      element: el('li', {}, time(event.at), ' ', badge(event.type.replace(/^session\./, '')), ' ',
        el('a', { href: event.type.startsWith('session.') ? `#/sessions/${event.subject}` : `#/subscriptions/${event.subject}` }, event.token ? shortToken(event.token) : shortID(event.subject))),
      update() {},
    }))
  }

  async function health() {
    try {
      const answer = await fetch('/readyz', { cache: 'no-store' })
      const { reason } = await answer.json()
      setText(ready, answer.ok ? 'The bridge is ready.' : `The bridge is not ready: ${reason}.`)
      ready.className = answer.ok ? 'health good' : 'health bad'
    } catch {
      lost()
    }
  }

  function lost() {
    setText(ready, live.lostSince ? `The bridge has not answered since ${clock(live.lostSince)}. Figures are those of before.` : 'The bridge does not answer.')
    ready.className = 'health bad'
  }

  function stats() {
    const s = live.stats
    if (!s) return
    if (ticks % 5 === 0) health()
    const [, asked, sent, took, failed] = live.samples.map((column) => column.at(-1))
    tiles.saved.set(percent(s.polls.saved, s.polls.asked), `${number(s.polls.saved)} of ${number(s.polls.asked)} since ${timeText(s.started_at)}`)
    tiles.load.set(asked === null ? '–' : `${number(asked)}/s`, sent === null ? '' : `${number(sent)}/s sent to the upstream`)
    tiles.upstream.set(took === null ? '–' : duration(took), `${number(s.upstream.failed)} of ${number(s.upstream.answered)} failed${failed > 0 ? `, ${number(failed)}/s now` : ''}`)
    setBadge(tiles.breaker.value, s.breaker)
    setText(tiles.breaker.more, s.breaker === 'closed' ? 'the upstream is asked' : s.breaker === 'open' ? 'the upstream keeps failing and is not asked' : 'a few polls try whether the upstream is back')
    tiles.watches.set(number(s.watches), `${number(s.cache.entries)} answers in memory`)
    tiles.waiting.set(number(s.deliveries.waiting ?? 0), `${number(s.deliveries.delivered ?? 0)} delivered since the start`)
    tiles.dead.set(number(s.deliveries.dead ?? 0), s.deliveries.dead ? 'can be redelivered' : 'none was given up')
    tiles.subscriptions.set(number(s.subscriptions), s.subscriptions ? '' : 'create one to get webhooks')
    hint.hidden = s.polls.asked > 0
    for (const bar of bars) setText(bar.count, number(s.sessions[bar.state] ?? 0))
    polls.update(live.samples)
    upstream.update(live.samples)
    if (ticks % describeEvery === 1) {
      polls.describe(`${number(asked ?? 0)} asked, ${number(sent ?? 0)} sent`)
      upstream.describe(`answers in ${took === null ? 'an unknown time' : duration(took)}, ${number(failed ?? 0)} failures a second`)
    }
    ticks++
  }

  live.addEventListener('stats', stats)
  live.addEventListener('news', showNews)
  live.addEventListener('lost', lost)
  stats()
  showNews()
  if (live.lostSince) lost()
  return {
    title: 'Overview',
    element: el('div', {}, ready, hint,
      el('div.tiles', {}, Object.values(tiles).map((t) => t.element)),
      el('div.columns', {},
        el('section', { 'aria-label': 'Polls' }, el('h2', {}, 'Polls a second'), polls.element),
        el('section', { 'aria-label': 'Upstream' }, el('h2', {}, 'The upstream'), upstream.element),
        el('section', { 'aria-label': 'Sessions by state' }, el('h2', {}, 'Sessions by state'), stateList),
        el('section', { 'aria-label': 'Events' }, el('h2', {}, 'Events'), noNews, news))),
    close() {
      live.removeEventListener('stats', stats)
      live.removeEventListener('news', showNews)
      live.removeEventListener('lost', lost)
      polls.destroy()
      upstream.destroy()
    },
  }
}
