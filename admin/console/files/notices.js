import { el } from './dom.js'

const shownFor = 8000

// notify says something for a while; what failed stays until it is closed.
export function notify(text, failed = false) {
  const close = el('button.quiet', { 'aria-label': 'Close', click: () => notice.remove() }, '×')
  const notice = el(`div.notice${failed ? '.bad' : ''}`, {}, el('span', {}, text), close)
  const all = document.getElementById('notices')
  while (all.children.length > 3) all.firstChild.remove()
  all.append(notice)
  if (!failed) setTimeout(() => notice.remove(), shownFor)
}

// attempt runs what somebody asked for; its button cannot be pressed twice meanwhile.
export async function attempt(button, what, action) {
  if (button.getAttribute('aria-disabled') === 'true') return
  button.setAttribute('aria-disabled', 'true') // it keeps its focus
  try {
    return await action()
  } catch (failure) {
    notify(`${what}: ${failure.message}`, true)
  } finally {
    button.removeAttribute('aria-disabled')
  }
}
