import { call, post } from '../api.js'
import { el } from '../dom.js'
import { open } from '../dialogs.js'

const events = [
  'session.pending', 'session.succeeded', 'session.refused', 'session.expired', 'session.failed', 'session.not_found', 'session.abandoned',
  'subscription.failing', 'subscription.disabled',
]

// edit makes a subscription, or changes one, and returns it; undefined if nobody wants to.
export async function edit(known) {
  const fields = {}
  let result

  // field is an input with its label, a hint, and what the bridge says is wrong with it.
  function field(name, label, input, hint) {
    input.id = `field-${name}`
    const wrong = el('p.wrong', { id: `wrong-${name}` })
    input.setAttribute('aria-describedby', `hint-${name} wrong-${name}`)
    fields[name] = { input, wrong }
    return el('div.field', {}, el('label', { for: input.id }, label), input, el('p.soft', { id: `hint-${name}` }, hint ?? ''), wrong)
  }
  const check = (label, id, checked) => {
    const input = el('input', { type: 'checkbox', id, checked })
    return { input, element: el('label.check', { for: id }, input, label) }
  }

  const url = el('input', { type: 'url', required: true, value: known?.url ?? '', placeholder: 'https://example.com/hooks' })
  const description = el('input', { value: known?.description ?? '', maxlength: '500' })
  const endpoints = el('input', { value: known?.endpoints.join(', ') ?? '' })
  const account = el('input', { type: 'password', autocomplete: 'off', spellcheck: 'false' })
  const session = el('input', { value: known?.session ?? '', placeholder: 'ses_…' })
  const headers = el('textarea', { rows: '2', spellcheck: 'false', value: lines(known?.headers) })
  const signature = el('select', {}, ['v1', 'v1a'].map((v) => el('option', { value: v, selected: known?.signature === v }, v)))
  const wanted = events.map((type) => ({ type, ...check(type, `event-${type}`, known?.events.includes(type)) }))
  const file = check('Send the signed document, too', 'field-include_file', known?.include_file)
  const enabled = check('Enabled', 'field-enabled', known?.enabled ?? true)
  const wrong = el('p.wrong', { role: 'alert' })
  const save = el('button', {}, known ? 'Save' : 'Create')

  function values() {
    const all = {
      url: url.value.trim(), description: description.value.trim(),
      events: wanted.filter((w) => w.input.checked).map((w) => w.type),
      endpoints: endpoints.value.split(',').map((name) => name.trim()).filter(Boolean),
      include_file: file.input.checked, signature: signature.value, enabled: enabled.input.checked,
    }
    if (session.value.trim() !== (known?.session ?? '')) all.session = session.value.trim() || null
    if (account.value) all.account = account.value
    if (headers.value !== lines(known?.headers)) all.headers = parsed(headers.value)
    if (known) return all
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null && value !== '' && !(Array.isArray(value) && !value.length)))
  }

  function complain(failure) {
    const others = []
    let first
    for (const { location, message } of failure.fields) {
      const known = fields[location.split('.')[1]?.replace(/\[.*/, '')]
      if (!known) {
        others.push(`${location}: ${message}`)
        continue
      }
      known.wrong.textContent = message
      known.input.setAttribute('aria-invalid', 'true')
      first ??= known.input
    }
    wrong.textContent = failure.fields.length ? others.join('; ') : failure.message
    first?.focus()
  }

  const form = el('form', {
    async submit(event) {
      event.preventDefault()
      if (save.disabled) return
      wrong.textContent = ''
      for (const { input, wrong } of Object.values(fields)) {
        wrong.textContent = ''
        input.removeAttribute('aria-invalid')
      }
      save.disabled = true
      try {
        result = known ? await call('PATCH', `/v1/subscriptions/${known.id}`, values()) : await post('/v1/subscriptions', values())
        form.closest('dialog').close()
      } catch (failure) {
        save.disabled = false
        complain(failure)
      }
    },
    novalidate: true, // the bridge says what is wrong, with all fields at once
  },
    field('url', 'URL', url, 'Where events are sent: https, and an address that the bridge may reach.'),
    field('description', 'Description', description, 'A note for people.'),
    el('fieldset', {}, el('legend', {}, 'Events'), el('p.soft', {}, 'None chosen: all of sessions.'), wanted.map((w) => w.element)),
    el('details', {}, el('summary', {}, 'Only some sessions, headers, signature'),
      field('endpoints', 'Endpoints', endpoints, 'Names, separated by commas. Empty: all.'),
      field('account', 'Account', account, known?.account ? 'An access token, to listen to another account than now.' : 'An access token: only its sessions. Kept as a keyed hash. Empty: all.'),
      field('session', 'Session', session, 'Only this one. Empty: all.'),
      field('headers', 'Headers', headers, 'To send with every delivery, one in a line: Name: value. Their values are not shown again.'),
      field('signature', 'Signature', signature, 'v1a adds an ed25519 signature, which a public key verifies.')),
    file.element, enabled.element, wrong,
    el('div.actions', {}, el('button.quiet', { type: 'button', click: () => form.closest('dialog').close() }, 'Cancel'), save))

  await open(known ? 'Edit the subscription' : 'New subscription', form)
  return result
}

const lines = (headers) => Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`).join('\n')

function parsed(text) {
  const headers = {}
  for (const line of text.split('\n').filter((l) => l.trim())) {
    const [name, ...value] = line.split(':')
    headers[name.trim()] = value.join(':').trim()
  }
  return headers
}
