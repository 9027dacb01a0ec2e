import { el } from './dom.js'

// open shows a dialog until it is closed; returns how.
export function open(title, ...content) {
  const heading = el('h2', { id: 'dialog-title' }, title)
  const dialog = el('dialog', { 'aria-labelledby': 'dialog-title' }, heading, ...content)
  document.body.append(dialog)
  dialog.showModal()
  return new Promise((closed) => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      closed(dialog.returnValue)
    })
  })
}

// confirm asks whether something is meant.
export async function confirm(title, text, action) {
  const answer = await open(
    title,
    el('p', {}, text),
    el('form.actions', { method: 'dialog' }, el('button.quiet', { value: '' }, 'Cancel'), el('button.danger', { value: 'yes' }, action)),
  )
  return answer === 'yes'
}

// showSecret shows what is shown once.
export function showSecret(secret, text) {
  const field = el('input', { readonly: true, value: secret, id: 'secret', spellcheck: 'false', autocomplete: 'off' })
  const said = el('span', { role: 'status' })
  const copy = async () => {
    field.select()
    try {
      await navigator.clipboard.writeText(secret)
      said.textContent = 'Copied'
    } catch {
      said.textContent = 'Copy it by hand'
    }
  }
  return open(
    'The secret',
    el('p', {}, text),
    el('label', { for: 'secret' }, 'Signing secret'),
    el('div.inline', {}, field, el('button.quiet', { type: 'button', click: copy }, 'Copy'), said),
    el('form.actions', { method: 'dialog' }, el('button', {}, 'I have stored it')),
  )
}
