import { get, post } from '../api.js'
import { badge, duration, el, facts, setBadge, shortID, time, timeText } from '../dom.js'
import { list, text } from '../list.js'
import { live } from '../live.js'
import { attempt, notify } from '../notices.js'

const refresh = 2 // ticks
const refreshIdle = 6 // where the figures have not changed

export const columns = [
  { name: 'Event', cell: (d) => el('a', { href: `#/deliveries/${d.id}` }, d.type) },
  {
    name: 'State',
    cell: (d) => {
      const element = badge(d.state)
      return { element, update: (changed) => setBadge(element, changed.state) }
    },
  },
  { name: 'Subscription', wide: true, cell: (d) => el('a', { href: `#/subscriptions/${d.subscription}` }, shortID(d.subscription)) },
  { name: 'Attempts', wide: true, cell: text((d) => String(d.attempt_count)) },
  { name: 'Last error', wide: true, cell: text((d) => d.last_error || d.reason || '–') },
  { name: 'Next attempt', wide: true, cell: text((d) => (d.state === 'waiting' ? (d.next_attempt_at ? timeText(d.next_attempt_at) : 'now') : '–')) },
  { name: 'Changed', cell: text((d) => timeText(d.updated_at)) },
]

export function deliveries(query) {
  let seen = ''
  const about = ['subscription', 'session'].filter((name) => query[name])
  const shown = list({
    caption: 'Deliveries, the most recently changed first',
    path: '/v1/deliveries',
    query,
    filters: [{ name: 'state', label: 'State', options: [['', 'all'], ['waiting', 'waiting'], ['delivered', 'delivered'], ['dead', 'dead'], ['superseded', 'superseded']] }],
    keyOf: (d) => d.id,
    columns,
    empty: [
      el('p', {}, 'No delivery to show.'),
      el('p.soft', {}, 'A delivery is one event for one subscription. ', el('a', { href: '#/subscriptions' }, 'Create a subscription'), ' and start a signing through the bridge, or send a test event.'),
    ],
    due(ticks) {
      const now = JSON.stringify([live.stats?.deliveries, live.stats?.queues])
      if (ticks < refresh || (now === seen && ticks < refreshIdle)) return false
      seen = now
      return true
    },
  })
  const element = el('div', {}, about.map((name) => el('p', {}, `Only of the ${name} ${query[name]}. `, el('a', { href: '#/deliveries' }, 'Show all'))), shown.element)
  return { title: 'Deliveries', element, close: shown.close }
}

// attemptItem shows one attempt. What the receiver answered is shown as it is: as text.
export function attemptItem(a) {
  return el('li', {}, time(a.at), ' ', badge(a.success ? 'delivered' : 'failed'), ' ',
    a.status ? `HTTP ${a.status} after ${duration(a.duration_ms)}` : `no answer after ${duration(a.duration_ms)}`,
    a.success ? '' : el('p', {}, a.detail || a.error),
    a.answer ? el('details', {}, el('summary', {}, 'What the receiver answered'), el('pre', { tabindex: '0' }, a.answer)) : '')
}

export function delivery(id) {
  const place = el('div', {}, el('p.soft', {}, 'Asking the bridge …'))
  const about = el('div')
  const attempts = el('ol.timeline')
  const again = el('button', { click: redeliver }, 'Redeliver')
  let open = true
  let before = ''

  async function redeliver() {
    await attempt(again, 'Redeliver', async () => {
      await post(`/v1/deliveries/${id}/redeliver`)
      notify('It is being delivered again.')
      await fetch()
    })
  }

  async function fetch() {
    try {
      const d = await get(`/v1/deliveries/${id}`)
      if (!open || JSON.stringify(d) === before) return
      before = JSON.stringify(d)
      about.replaceChildren(facts([
        ['State', badge(d.state)], ['Reason', d.reason], ['Event', `${d.type}, ${d.event}`],
        ['Subscription', el('a', { href: `#/subscriptions/${d.subscription}` }, shortID(d.subscription))],
        ['About', d.session && el('a', { href: d.session.startsWith('ses_') ? `#/sessions/${d.session}` : `#/subscriptions/${d.session}` }, shortID(d.session))],
        ['Created', time(d.created_at)], ['Next attempt', d.next_attempt_at && time(d.next_attempt_at)],
      ]))
      attempts.replaceChildren(...(d.attempts?.length ? d.attempts.map(attemptItem) : [el('li.soft', {}, 'None yet.')]))
      if (!about.isConnected) place.replaceChildren(about, el('div.actions', {}, again), el('h2', {}, 'Attempts'), attempts)
    } catch (failure) {
      if (open && failure.status) place.replaceChildren(el('p.wrong', { role: 'alert' }, failure.message), el('a', { href: '#/deliveries' }, 'All deliveries'))
    }
  }

  const stop = live.every(refresh, fetch)
  fetch()
  return {
    title: 'Delivery', element: place,
    close() {
      open = false
      stop()
    },
  }
}
