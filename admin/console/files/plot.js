import { clock, el } from './dom.js'

// The library and its style come when there is a line to draw, which is after the first paint.
const style = el('link', { rel: 'stylesheet', href: '/console/third_party/uplot/uPlot.min.css' })
async function load() {
  if (!style.isConnected) document.head.append(style)
  try {
    return (await import('./third_party/uplot/uPlot.min.js')).default
  } catch {
    // the bridge cannot be reached; the next sample tries again
  }
}

const dark = matchMedia('(prefers-color-scheme: dark)')

const fromZero = { range: (_, low, high) => [0, Math.max(1, high * 1.1 || 1)] }
const withUnit = (unit) => (_, all) => all.map((v) => `${v} ${unit}`.trim())

// plot is a live plot of columns: samples, and then which of them to draw.
export function plot(label, series, unit) {
  return chart(label, series, { y: fromZero }, [
    { space: 70, values: (_, all) => all.map((at) => clock(new Date(at * 1000))) },
    { size: 62, values: withUnit(unit) },
  ])
}

// curves are plots by age, in seconds: the first series with its unit on the left, the second on
// the right.
export function curves(label, series) {
  return chart(label, series, { x: { time: false }, y: fromZero, right: { range: (_, low, high) => [0, high * 1.1 || 1] } }, [
    { space: 60, values: withUnit('s') },
    { size: 62, values: withUnit(series[0].unit) },
    { size: 62, values: withUnit(series[1].unit), scale: 'right', side: 1, grid: { show: false } },
  ])
}

function chart(label, series, scales, axes) {
  const place = el('div.plot', { role: 'img', 'aria-label': label })
  const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim()
  let shown, data
  let drawing = false
  let open = true

  async function draw() {
    if (drawing) return
    drawing = true
    const Plot = await load()
    drawing = false
    if (!Plot || !open || !place.isConnected) return // its size and colours come from where it is
    if (!shown) resized.observe(place)
    shown?.destroy()
    const axis = { stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 }, font: '12px system-ui' }
    shown = new Plot({
      width: place.clientWidth || 300,
      height: 190,
      cursor: { y: false, drag: { x: false, y: false } },
      legend: { live: false },
      scales,
      axes: axes.map((own) => ({ ...axis, ...own })),
      series: [{}, ...series.map((s) => ({ label: s.label, scale: s.scale ?? 'y', stroke: colour(s.colour), fill: s.fill && colour(s.fill), width: 2, points: { show: false } }))],
    }, data, place)
  }

  const resized = new ResizeObserver(() => shown?.setSize({ width: place.clientWidth, height: 190 }))
  const recolour = () => shown && draw()
  dark.addEventListener('change', recolour)
  return {
    element: place,
    update(samples) {
      data = [samples[0], ...series.map((s) => samples[s.column])]
      if (shown) shown.setData(data)
      else if (data[0].length > 1) draw()
    },
    describe(text) {
      place.setAttribute('aria-label', `${label}: ${text}`)
    },
    destroy() {
      open = false
      resized.disconnect()
      dark.removeEventListener('change', recolour)
      shown?.destroy()
    },
  }
}
