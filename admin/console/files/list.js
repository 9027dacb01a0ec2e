import { page } from './api.js'
import { el, keyed, setText } from './dom.js'
import { live } from './live.js'

const shownAtOnce = 50
// A list is fetched again no sooner than after so many times as long as that took, so that a page
// that is open costs the bridge a millisecond a second, however much there is to list; but no later
// than after longest.
const rest = 1000
const longest = 10_000 // ms

// list shows a list of the API: its first page live, the others as they were when they were
// asked for. due says whether the first page may have changed since it was fetched, n ticks ago.
export function list({ caption, path, query, filters = [], columns, keyOf, empty, due }) {
  const body = el('tbody')
  const nothing = el('div.empty', { hidden: true }, empty)
  const failed = el('p.wrong', { role: 'alert' })
  const newer = el('button.quiet', { click: () => turn([]), hidden: true }, 'Newest')
  const older = el('button.quiet', { click: () => turn([...cursors, next]), hidden: true }, 'Older')
  const where = el('span.soft', { role: 'status' })
  const table = el('table', {}, el('caption', {}, caption),
    el('thead', {}, el('tr', {}, columns.map((c) => el(`th${c.wide ? '.wide' : ''}`, { scope: 'col' }, c.name)))), body)
  const form = el('form.filters', { submit: (event) => event.preventDefault() }, filters.map((f) => {
    const choice = el('select', { id: `filter-${f.name}`, change: () => select(f.name, choice.value) },
      f.options.map(([value, text]) => el('option', { value, selected: (query[f.name] ?? '') === value }, text)))
    return el('label', { for: `filter-${f.name}` }, f.label, choice)
  }))
  let cursors = [] // of the pages before this one
  let next
  let items = []
  let ticks = 0
  let fetching = false
  let again = 0 // when it may be fetched again
  let open = true

  function select(name, value) {
    const now = new URLSearchParams(Object.entries({ ...query, [name]: value }).filter(([, v]) => v)).toString()
    location.hash = location.hash.split('?')[0] + (now && '?' + now)
  }

  function turn(to) {
    cursors = to
    fetching = false
    fetch()
  }

  function row(item) {
    const cells = columns.map((c) => c.cell(item))
    const element = el('tr', {}, cells.map((cell, i) => el(`td${columns[i].wide ? '.wide' : ''}`, {}, cell.element ?? cell)))
    return { element, update: (changed) => cells.forEach((cell) => cell.update?.(changed)) }
  }

  async function fetch() {
    if (fetching) return
    const mine = (fetching = {})
    ticks = 0
    const began = performance.now()
    try {
      const got = await page(path, { ...query, cursor: cursors.at(-1) }, shownAtOnce)
      if (!open || fetching !== mine) return
      next = got.next
      items = got.items
      keyed(body, items, keyOf, row)
      setText(failed, '')
      table.hidden = got.items.length === 0
      nothing.hidden = got.items.length > 0
      older.hidden = !next
      newer.hidden = cursors.length === 0
      setText(where, cursors.length ? `Page ${cursors.length + 1}: it does not change by itself` : next ? `The newest ${got.items.length}, live` : '')
    } catch (failure) {
      if (open && fetching === mine) setText(failed, failure.status === 0 ? '' : failure.message) // the header tells of no connection
    } finally {
      if (fetching !== mine) return
      fetching = false
      const now = performance.now()
      again = now + Math.min(longest, rest * (now - began))
    }
  }

  const tick = () => {
    ticks++
    if (cursors.length === 0 && performance.now() >= again && due(ticks)) fetch()
  }
  live.addEventListener('stats', tick)
  fetch()
  return {
    element: el('div', {}, filters.length ? form : '', failed, scrolling(caption, table), nothing, el('div.pager', {}, newer, older, where)),
    // change shows what f makes of the first page, until that is fetched again.
    change(f) {
      if (cursors.length > 0 || fetching) return
      items = f(items).slice(0, shownAtOnce)
      keyed(body, items, keyOf, row)
      table.hidden = items.length === 0
      nothing.hidden = items.length > 0
    },
    close() {
      open = false
      live.removeEventListener('stats', tick)
    },
  }
}

// scrolling lets the keyboard, too, scroll a table that is wider than the screen.
export const scrolling = (name, table) => el('div.scroll', { tabindex: '0', role: 'region', 'aria-label': name }, table)

// text is a cell that changes with its item.
export function text(of) {
  return (item) => {
    const element = el('span', {}, of(item))
    return { element, update: (changed) => setText(element, of(changed)) }
  }
}
