import { call, get } from '../api.js'
import { badge, el, facts, setBadge, shortToken, time, timeText } from '../dom.js'
import { confirm } from '../dialogs.js'
import { list, text } from '../list.js'
import { live } from '../live.js'
import { attempt, notify } from '../notices.js'

const refresh = 2 // ticks
const refreshList = 5 // as events tell of what is new
const mostDeliveries = 20 // of which the attempts are shown
const states = ['pending', 'succeeded', 'refused', 'expired', 'failed', 'not_found', 'abandoned', 'unknown']

export function sessions(query) {
  const heard = ({ detail }) => shown.change((items) => detail.reduce((known, event) => changed(known, event, query.state), items))
  live.addEventListener('news', heard)
  const shown = list({
    caption: 'Sessions, the most recently changed first',
    path: '/v1/sessions',
    query,
    filters: [{ name: 'state', label: 'State', options: [['', 'all'], ...states.map((s) => [s, s.replace('_', ' ')])] }],
    keyOf: (s) => s.id,
    columns: [
      { name: 'Token', cell: (s) => el('a', { href: `#/sessions/${s.id}` }, shortToken(s.token)) },
      {
        name: 'State',
        cell: (s) => {
          const element = badge(s.state)
          return { element, update: (changed) => setBadge(element, changed.state) }
        },
      },
      { name: 'Endpoint', wide: true, cell: (s) => s.endpoint },
      { name: 'First seen', wide: true, cell: (s) => time(s.created_at) },
      { name: 'Changed', cell: text((s) => timeText(s.changed_at)) },
      { name: 'Watched', wide: true, cell: text((s) => (s.watching ? 'yes' : 'no')) },
    ],
    empty: [
      el('p', {}, 'No session to show.'),
      el('p.soft', {}, 'A session is watched from its start call or its first poll, where a subscription covers it. ', el('a', { href: '#/subscriptions' }, 'Create a subscription'), ', or register one with ', el('code', {}, 'POST /v1/sessions'), '.'),
    ],
    due: (ticks) => ticks >= refreshList,
  })
  return {
    title: 'Sessions', element: shown.element,
    close() {
      live.removeEventListener('news', heard)
      shown.close()
    },
  }
}

// changed is a list of sessions after an event: the one that it is about comes first. What an event
// does not tell, the list does when it is fetched again.
function changed(sessions, { type, subject, at, token, endpoint }, wanted) {
  if (!type.startsWith('session.')) return sessions
  const state = type.slice('session.'.length)
  const known = sessions.find((s) => s.id === subject) ?? { id: subject, token, endpoint, created_at: at }
  const rest = sessions.filter((s) => s !== known)
  if (wanted && wanted !== state) return rest
  return [{ ...known, state, changed_at: at, watching: state === 'pending' }, ...rest]
}

// session shows one, with all that happened to it.
export function session(id) {
  const place = el('div', {}, el('p.soft', {}, 'Asking the bridge …'))
  const about = el('div')
  const happened = el('ol.timeline')
  const actions = el('div.actions', {}, el('a.button.quiet', { href: `#/deliveries?session=${id}` }, 'Its deliveries'), el('button.danger', { click: forget }, 'Forget'))
  const attempts = new Map() // what is known of deliveries, by id
  let open = true
  let before = ''
  let settled = false // nothing is to come that no event tells of

  async function forget(event) {
    if (!(await confirm('Forget this session?', 'It is no longer watched, and its token, answers, events and deliveries are erased. That cannot be taken back.', 'Forget it'))) return
    await attempt(event.target, 'Forget', async () => {
      await call('DELETE', `/v1/sessions/${id}`)
      notify('The session was forgotten.')
      location.hash = '#/sessions'
    })
  }

  // whole has deliveries with their attempts; those that have not changed are not asked for again.
  async function whole(deliveries) {
    return Promise.all(deliveries.slice(0, mostDeliveries).map(async (d) => {
      const known = attempts.get(d.id)
      if (known?.updated_at === d.updated_at) return known
      const now = await get(`/v1/deliveries/${d.id}`)
      attempts.set(d.id, now)
      return now
    }))
  }

  async function fetch() {
    try {
      const [s, events, sent] = await Promise.all([get(`/v1/sessions/${id}`), get(`/v1/sessions/${id}/events`), get('/v1/deliveries', { session: id, limit: 50 })])
      const deliveries = await whole(sent.items)
      if (!open) return
      settled = !s.watching && sent.items.every((d) => d.state !== 'waiting')
      about.replaceChildren(facts([
        ['State', badge(s.state)], ['Token', shortToken(s.token)], ['Endpoint', s.endpoint], ['Locale', s.locale], ['Account', s.account], ['Id', s.id],
        ...watchFacts(s),
      ]))
      const now = JSON.stringify([s.created_at, events, deliveries])
      if (now !== before) happened.replaceChildren(...timeline(s, events.items, deliveries)) // else what has the focus stays
      before = now
      if (!about.isConnected) place.replaceChildren(about, el('h2', {}, 'Timeline'), happened, actions)
    } catch (failure) {
      if (open && failure.status) place.replaceChildren(el('p.wrong', { role: 'alert' }, failure.message), el('a', { href: '#/sessions' }, 'All sessions'))
    }
  }

  const heard = ({ detail }) => detail.some((event) => event.subject === id) && fetch()
  const stop = live.every(refresh, () => settled || fetch())
  live.addEventListener('news', heard)
  live.addEventListener('back', fetch)
  fetch()
  return {
    title: 'Session', element: place,
    close() {
      open = false
      stop()
      live.removeEventListener('news', heard)
      live.removeEventListener('back', fetch)
    },
  }
}

// watchFacts say how a session is polled.
function watchFacts(s) {
  if (!s.watching) return [['Watched', 'no']]
  const w = s.watch
  return [
    ['Watched', `until ${timeText(s.deadline)} at the latest`],
    ['Last poll', w?.last_poll_at && time(w.last_poll_at)],
    ['Next poll', w?.next_poll_at && time(w.next_poll_at)],
    ['Polls that failed in a row', w && String(w.failures)],
    ['Last failure', w?.last_failure && w.last_failure.replaceAll('_', ' ')],
    ['Held back until', w?.not_before && time(w.not_before)],
  ]
}

// timeline is what happened to a session: its events, and what was tried to tell of them.
function timeline(s, events, deliveries) {
  const all = events.map((e) => ({ at: e.payload.timestamp, what: eventText(e) }))
  if (!events.length) all.push({ at: s.created_at, what: ['First seen'] })
  for (const d of deliveries) {
    const tell = (at, state, ...said) => all.push({
      at, what: [badge(state), ` ${d.type} to `, el('a', { href: `#/subscriptions/${d.subscription}` }, 'a subscription'), ...said, ' (', el('a', { href: `#/deliveries/${d.id}` }, 'attempts'), ')'],
    })
    for (const a of d.attempts) tell(a.at, a.success ? 'delivered' : 'failed', ': ', a.success ? `answered ${a.status}` : a.detail || a.error)
    if (d.state !== 'delivered') tell(d.updated_at, d.state, d.reason ? `: ${d.reason}` : '', d.next_attempt_at ? `, next attempt ${timeText(d.next_attempt_at)}` : '')
  }
  all.sort((a, b) => new Date(a.at) - new Date(b.at))
  return all.map((one) => el('li', {}, time(one.at), ' ', one.what))
}

// eventText is an event in words. The first one says when the session was first seen.
function eventText({ type, payload: { data } }) {
  const first = data.sequence === 1 ? 'First seen: ' : data.final ? 'The end: ' : 'Changed: '
  return [first, badge(type.replace(/^session\./, '')), data.error_code ? ` code ${data.error_code}` : '', data.message ? ` ${data.message}` : '']
}
