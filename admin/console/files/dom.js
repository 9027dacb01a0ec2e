// What is shown may come from anybody: it is set as text and never as HTML, and the policy of
// the page has browsers refuse anything else.

// el makes an element, such as el('td.wide', {title: 'x'}, 'text', another).
export function el(what, attributes = {}, ...children) {
  const [name, ...classes] = what.split('.')
  const element = document.createElement(name)
  if (classes.length) element.className = classes.join(' ')
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue
    if (typeof value === 'function') element.addEventListener(key, value)
    else if (key === 'value') element.value = value
    else element.setAttribute(key, value === true ? '' : value)
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== ''))
  return element
}

// setText changes a text only if it is another one, so that nothing is read out or laid out
// again for nothing.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

// keyed shows items as children of a parent. Those that were there stay, with their focus.
export function keyed(parent, items, keyOf, make) {
  const before = parent.shownItems ?? new Map()
  const now = new Map()
  let place = parent.firstChild
  for (const item of items) {
    const key = keyOf(item)
    if (now.has(key)) continue
    const shown = before.get(key) ?? make(item)
    shown.update(item)
    now.set(key, shown)
    if (shown.element === place) place = place.nextSibling
    else parent.insertBefore(shown.element, place)
  }
  for (const [key, shown] of before) if (!now.has(key)) shown.element.remove()
  parent.shownItems = now
}

// Numbers and times are written without Intl, which takes a quarter of the first paint to begin.
export const number = (value) => String(Math.round(10 * value) / 10).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
export const percent = (part, whole) => (whole > 0 ? `${number((100 * part) / whole)} %` : '–')
export const duration = (ms) => (ms < 1000 ? `${number(ms)} ms` : `${number(ms / 1000)} s`)

const two = (value) => String(value).padStart(2, '0')
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const minute = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`
export const clock = (at) => `${minute(at)}:${two(at.getSeconds())}`

// timeText is the time of today, or with the date.
export function timeText(text) {
  if (!text) return '–'
  const at = new Date(text)
  if (at.toDateString() === new Date().toDateString()) return clock(at)
  return `${at.getDate()} ${months[at.getMonth()]} ${at.getFullYear()}, ${minute(at)}`
}
export const time = (text) => (text ? el('time', { datetime: text, title: text }, timeText(text)) : '–')

export const shortToken = (token) => (token && token.length > 8 ? token.slice(0, 8) + '…' : token || '–')
export const shortID = (id) => (id && id.length > 16 ? id.slice(0, 14) + '…' : id || '–')

const tones = {
  succeeded: 'good', delivered: 'good', enabled: 'good', closed: 'good', serving: 'good', ready: 'good',
  failed: 'bad', dead: 'bad', open: 'bad', refused: 'bad', expired: 'bad',
  pending: 'busy', waiting: 'busy', 'half-open': 'busy', draining: 'busy', failing: 'bad', unwell: 'bad', disabled: 'off',
}
export function badge(state) {
  return el(`span.badge.${tones[state] ?? 'off'}`, {}, state.replace('_', ' '))
}
export function setBadge(element, state) {
  setText(element, state.replace('_', ' '))
  element.className = `badge ${tones[state] ?? 'off'}`
}

// facts is a list of names and what they stand for.
export function facts(pairs) {
  return el('dl.facts', {}, pairs.filter(([, value]) => value !== undefined && value !== '').map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))))
}
