import { call } from '../api.js'
import { el } from '../dom.js'

export function login(done) {
  const field = el('input', { id: 'key', type: 'password', autocomplete: 'current-password', required: true, spellcheck: 'false', 'aria-describedby': 'where why' })
  const why = el('p.wrong', { id: 'why', role: 'alert' })
  const form = el(
    'form.card.login',
    {
      async submit(event) {
        event.preventDefault()
        why.textContent = ''
        field.removeAttribute('aria-invalid')
        try {
          await call('POST', '/login', { key: field.value.trim() })
        } catch (failure) {
          why.textContent = failure.message
          field.setAttribute('aria-invalid', 'true')
          field.select()
          return
        }
        field.value = ''
        done()
      },
    },
    el('label', { for: 'key' }, 'Management key'),
    field,
    el('p.soft', { id: 'where' }, 'One of admin.keys or POLLBRIDGE_ADMIN_KEY; where neither is set, the bridge has written one to admin.key in its data directory. It is not kept in the browser.'),
    why,
    el('button', {}, 'Log in'),
  )
  return { title: 'Log in', element: form, focus: field }
}
