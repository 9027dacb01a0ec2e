import { call, get, post } from '../api.js'
import { badge, el, facts, number, percent, setBadge, setText, shortID, time } from '../dom.js'
import { confirm, open as openDialog, showSecret } from '../dialogs.js'
import { list, text } from '../list.js'
import { live } from '../live.js'
import { attempt, notify } from '../notices.js'
import { attemptItem, columns as deliveryColumns } from './deliveries.js'
import { edit } from './subscription-form.js'

const refresh = 5 // ticks

const stateOf = (s) => (!s.enabled ? 'disabled' : s.failing_since ? 'failing' : 'enabled')

// What is said of how sending goes; of attempts, those of the last 24 hours.
const rate = ({ outcomes: o }) => (o?.attempts ? percent(o.succeeded, o.attempts) : '–')
const waiting = ({ outcomes: o }) => (o ? number(o.waiting) : '–')
const lastError = ({ outcomes: o }) => o?.last_error || ''

async function create() {
  const made = await edit()
  if (!made) return
  await showSecret(made.secret, 'The receiver needs it to verify what it gets. It is shown only now, and not stored in the browser.')
  location.hash = `#/subscriptions/${made.id}`
}

export function subscriptions(query) {
  let ticks = 0
  const shown = list({
    caption: 'Subscriptions, the newest first',
    path: '/v1/subscriptions',
    query,
    keyOf: (s) => s.id,
    columns: [
      { name: 'URL', cell: (s) => el('a.url', { href: `#/subscriptions/${s.id}` }, s.url) },
      {
        name: 'State',
        cell: (s) => {
          const element = badge(stateOf(s))
          return { element, update: (changed) => setBadge(element, stateOf(changed)) }
        },
      },
      { name: 'Succeeded', cell: text(rate) },
      { name: 'Waiting', wide: true, cell: text(waiting) },
      { name: 'Last error', wide: true, cell: text((s) => lastError(s) || '–') },
      { name: 'Description', wide: true, cell: text((s) => s.description || '–') },
    ],
    empty: [
      el('p', {}, 'There is no subscription yet, so nobody is told of anything.'),
      el('p', {}, 'Create one with the URL that is to receive events. To try it here: ', el('code', {}, 'pollbridge listen --secret whsec_…'), '.'),
    ],
    due: () => ++ticks % refresh === 1,
  })
  const element = el('div', {}, el('div.actions', {}, el('button', { click: create }, 'New subscription')), shown.element,
    el('p.soft', {}, 'What succeeded and went wrong is of the attempts of the last 24 hours, at all replicas.'))
  return { title: 'Subscriptions', element, close: shown.close }
}

export function subscription(id) {
  const place = el('div', {}, el('p.soft', {}, 'Asking the bridge …'))
  const about = el('div')
  const result = el('div', { role: 'status' })
  const pause = el('button.quiet', { click: (event) => toggle(event.target) })
  const actions = el('div.actions', {},
    el('button', { click: (event) => test(event.target) }, 'Send a test event'),
    el('button.quiet', { click: change }, 'Edit'), pause,
    el('button.quiet', { click: (event) => rotate(event.target) }, 'Rotate the secret'),
    el('button.quiet', { click: recover }, 'Recover'),
    el('button.danger', { click: (event) => remove(event.target) }, 'Delete'))
  let known
  let open = true

  async function change() {
    if (await edit(known)) fetch()
  }

  const toggle = (button) => attempt(button, known.enabled ? 'Disable' : 'Enable', async () => {
    await call('PATCH', `/v1/subscriptions/${id}`, { enabled: !known.enabled })
    await fetch()
  })

  const test = (button) => attempt(button, 'Test', async () => {
    result.replaceChildren(el('p.soft', {}, 'Waiting for the receiver …'))
    try {
      const a = await post(`/v1/subscriptions/${id}/test`)
      result.replaceChildren(el('h2', {}, a.success ? 'The test event was taken' : 'The test event failed'), el('ul.timeline', {}, attemptItem(a)))
    } catch (failure) {
      result.replaceChildren()
      throw failure
    }
  })

  async function rotate(button) {
    if (!(await confirm('Rotate the secret?', 'The receiver needs the new one. For 24 hours everything is signed with the old one, too.', 'Rotate it'))) return
    await attempt(button, 'Rotate', async () => {
      const { secret } = await post(`/v1/subscriptions/${id}/rotate-secret`)
      await showSecret(secret, 'Give it to the receiver within 24 hours. It is shown only now.')
      await fetch()
    })
  }

  async function remove(button) {
    if (!(await confirm('Delete this subscription?', 'Nothing is sent to it any more. Deliveries that wait for it are given up.', 'Delete it'))) return
    await attempt(button, 'Delete', async () => {
      await call('DELETE', `/v1/subscriptions/${id}`)
      notify('The subscription was deleted.')
      location.hash = '#/subscriptions'
    })
  }

  // recover goes on until the bridge says that that was all.
  async function recover() {
    const since = el('input', { id: 'since', type: 'datetime-local', required: true, value: localTime(Date.now() - 24 * 3600_000) })
    const said = el('p', { role: 'status' })
    const begin = el('button', {}, 'Redeliver')
    const form = el('form', {
      async submit(event) {
        event.preventDefault()
        await attempt(begin, 'Recover', async () => {
          let count = 0
          let from
          do {
            const part = await post(`/v1/subscriptions/${id}/recover`, { since: new Date(since.value).toISOString(), ...(from && { continue_from: from }) })
            count += part.redelivered
            from = part.continue_from
            setText(said, from ? `${number(count)} so far …` : `${number(count)} ${count === 1 ? 'delivery is' : 'deliveries are'} on the way.`)
          } while (from && form.isConnected)
        })
      },
    }, el('p', {}, 'Delivers again what was given up, and what came while the subscription was disabled.'),
      el('label', { for: 'since' }, 'Events since'), since, said,
      el('div.actions', {}, el('button.quiet', { type: 'button', click: () => form.closest('dialog').close() }, 'Close'), begin))
    await openDialog('Recover missed events', form)
  }

  function show() {
    const s = known
    about.replaceChildren(facts([
      ['URL', el('span.url', {}, s.url)], ['State', badge(stateOf(s))], ['Disabled because', !s.enabled && s.disabled_reason], ['Failing since', s.failing_since && time(s.failing_since)],
      ['Succeeded in 24 hours', s.outcomes && `${rate(s)}${s.outcomes.attempts ? ` of ${number(s.outcomes.attempts)} attempts` : ''}`], ['Waiting', s.outcomes && waiting(s)],
      ['Last error', lastError(s) && [lastError(s), ' at ', time(s.outcomes.last_error_at)]],
      ['Events', s.events.length ? s.events.join(', ') : 'all of sessions'], ['Endpoints', s.endpoints.length ? s.endpoints.join(', ') : 'all'],
      ['Account', s.account], ['Session', s.session], ['Description', s.description], ['Document', s.include_file ? 'sent too' : 'not sent'],
      ['Headers', Object.keys(s.headers ?? {}).join(', ')], ['Signature', s.signature], ['Public key', s.public_key],
      ['Old secret signs until', s.old_secret_until && time(s.old_secret_until)], ['Id', s.id], ['Created', time(s.created_at)],
    ].map(([name, value]) => [name, value || undefined])))
    setText(pause, s.enabled ? 'Disable' : 'Enable')
  }

  async function fetch() {
    try {
      known = await get(`/v1/subscriptions/${id}`)
      if (!open) return
      if (!about.isConnected) place.replaceChildren(about, actions, result, el('h2', {}, 'Its deliveries'), sent.element)
      show()
    } catch (failure) {
      if (open && failure.status) place.replaceChildren(el('p.wrong', { role: 'alert' }, failure.message), el('a', { href: '#/subscriptions' }, 'All subscriptions'))
    }
  }

  const sent = list({
    caption: `The last deliveries to ${shortID(id)}`,
    path: '/v1/deliveries',
    query: { subscription: id },
    keyOf: (d) => d.id,
    columns: deliveryColumns.filter((c) => c.name !== 'Subscription'),
    empty: [el('p', {}, 'Nothing was sent yet.'), el('p.soft', {}, 'Send a test event, or start a signing through the bridge.')],
    due: (ticks) => ticks >= 2,
  })
  const stop = live.every(refresh, fetch)
  fetch()
  return {
    title: 'Subscription', element: place,
    close() {
      open = false
      stop()
      sent.close()
    },
  }
}

function localTime(ms) {
  const at = new Date(ms)
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
