import { get } from '../api.js'
import { badge, el, keyed, number, percent, setBadge, setText, time } from '../dom.js'
import { scrolling } from '../list.js'
import { live } from '../live.js'

const refresh = 2 // ticks

export function replicas() {
  const body = el('tbody')
  const alone = el('p.soft', { hidden: true }, 'This bridge is alone. Any number of replicas can share a NATS cluster (store.nats.url): they look after sessions together, and take over from each other.')
  const failed = el('p.wrong', { role: 'alert' })
  const table = el('table', {}, el('caption', {}, 'Replicas, the eldest first'),
    el('thead', {}, el('tr', {}, ['Host', 'State', 'Share of sessions', 'Watches', 'Since', 'Version'].map((name, i) => el(`th${i > 3 ? '.wide' : ''}`, { scope: 'col' }, name)))), body)

  function row(r) {
    const state = badge(r.state)
    const share = el('span')
    const watches = el('span')
    return {
      element: el('tr', {}, el('td', { title: r.id }, r.name || r.id), el('td', {}, state), el('td', {}, share), el('td', {}, watches), el('td.wide', {}, time(r.started_at)), el('td.wide', {}, r.version)),
      update(now) {
        setBadge(state, now.state)
        setText(share, percent(now.share, 1))
        setText(watches, number(now.watches))
      },
    }
  }

  async function fetch() {
    try {
      const { items } = await get('/v1/replicas')
      keyed(body, items, (r) => r.id, row)
      alone.hidden = items.length > 1
      setText(failed, '')
    } catch (failure) {
      if (failure.status) setText(failed, failure.message)
    }
  }

  const stop = live.every(refresh, fetch)
  fetch()
  return { title: 'Replicas', element: el('div', {}, alone, failed, scrolling('Replicas', table)), close: stop }
}
