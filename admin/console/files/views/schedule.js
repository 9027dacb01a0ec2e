import { get } from '../api.js'
import { duration, el, facts, keyed, number, percent, setText } from '../dom.js'
import { live } from '../live.js'
import { curves } from '../plot.js'

const refresh = 5 // ticks

const agesFrom = { start: 'since the start call', sight: 'since the first poll' }

// schedule shows when sessions are polled, and what was learnt for that.
export function schedule() {
  const about = el('div', {}, el('p.soft', {}, 'Asking the bridge …'))
  const learnt = el('div.columns')
  const nothing = el('p.soft', { hidden: true })
  const failed = el('p.wrong', { role: 'alert' })
  const plots = new Set()
  let open = true

  function section(one) {
    const name = `${one.endpoint}, by the age ${agesFrom[one.since]}`
    const plot = curves(name, [
      { label: 'time to the next poll', column: 1, colour: '--asked', unit: 's' },
      { label: 'of the pending ones end within a second', column: 2, colour: '--sent', fill: '--sent-fill', scale: 'right', unit: '%' },
    ])
    const said = el('p.soft')
    plots.add(plot)
    return {
      element: el('section', { 'aria-label': name }, el('h2', {}, name), said, plot.element),
      update(now) {
        const saved = now.polls_at_interval - now.polls
        const learnt = now.points.length > 0
        setText(said, `${number(now.sessions)} sessions learnt${learnt ? '' : ': too few, so each is polled at the interval'}. ` +
          `${number(now.polls)} polls spent, ${number(now.polls_at_interval)} at the interval: ${number(saved)} (${percent(saved, now.polls_at_interval)}) saved.`)
        plot.element.hidden = !learnt
        if (!learnt) return
        const gaps = now.points.map((p) => p.gap_seconds)
        plot.describe(`polled again after ${number(Math.min(...gaps))} to ${number(Math.max(...gaps))} seconds`)
        plot.update([now.points.map((p) => p.age_seconds), gaps, now.points.map((p) => 100 * p.hazard)])
      },
    }
  }

  async function fetch() {
    try {
      const s = await get('/v1/schedule')
      if (!open) return
      const adaptive = s.schedule === 'adaptive'
      const sum = (of) => s.curves.reduce((all, one) => all + of(one), 0)
      const spent = sum((one) => one.polls)
      const saved = sum((one) => one.polls_at_interval) - spent
      about.replaceChildren(facts([
        ['Schedule', s.schedule], ['Interval', duration(1000 * s.interval_seconds)], ['Longest gap', adaptive && duration(1000 * s.max_gap_seconds)],
        ['Polls spent', number(spent)], ['Polls saved by it', adaptive && `${number(saved)} (${percent(saved, saved + spent)})`],
      ].map(([name, value]) => [name, value || undefined])))
      nothing.hidden = adaptive && s.curves.length > 0
      setText(nothing, adaptive ? 'No session has been watched yet, so nothing was learnt.' : 'Every session is polled at the interval. With watch.schedule: adaptive the bridge learns when sessions end, polls often then and seldom before, and shows here what it has learnt.')
      keyed(learnt, adaptive ? s.curves : [], (one) => `${one.endpoint} ${one.since}`, section)
      setText(failed, '')
    } catch (failure) {
      if (open && failure.status) setText(failed, failure.message)
    }
  }

  const stop = live.every(refresh, fetch)
  fetch()
  return {
    title: 'Schedule', element: el('div', {}, failed, about, nothing, learnt),
    close() {
      open = false
      stop()
      plots.forEach((plot) => plot.destroy())
    },
  }
}
