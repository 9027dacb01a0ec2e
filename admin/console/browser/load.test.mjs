// A page that is open while much happens: half a minute of one view, or a minute and a half of each with
// POLLBRIDGE_LOAD=full, and then the same without it, to compare with.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { launch, open } from './browser.mjs'
import { Bridge, endAll, key, receiver, simulator, until } from './programs.mjs'

const full = process.env.POLLBRIDGE_LOAD === 'full'
// The sessions began together, and so are polled together. What is compared lasts whole rounds of
// that, or it is their cost that is seen.
const round = 30 // s
const secondsWith = full ? 3 * round : round
const secondsWithout = full ? 2 * round : round
const secondsTraced = full ? 20 : 10
const liveSessions = 10_000
const deliveriesAMinute = 1000
const frame = 50 // ms
const mostRequests = 2 // a second, of a page
let upstream, bridge, taking, browser

before(async () => {
  taking = await receiver(204, '')
  upstream = await simulator('--sign-after', '2h')
  bridge = new Bridge(upstream.url, [taking.port], { POLLBRIDGE_WATCH_SCHEDULE: 'fixed', POLLBRIDGE_WATCH_INTERVAL: `${round}s`, POLLBRIDGE_WATCH_DEADLINE: '2h', POLLBRIDGE_STORE_SYNC: 'interval' })
  await bridge.start()
  await bridge.call('POST', '/v1/subscriptions', { url: `http://127.0.0.1:${taking.port}/`, events: ['session.succeeded'] })
  let left = liveSessions
  await Promise.all(Array.from({ length: 32 }, async () => {
    while (left-- > 0) await bridge.sign()
  }))
  const [subscription] = (await bridge.call('GET', '/v1/subscriptions')).items
  await bridge.call('PATCH', `/v1/subscriptions/${subscription.id}`, { events: [] })
  browser = await launch()
}, { timeout: 300_000 })

after(async () => {
  await browser?.close()
  await endAll()
  taking?.close()
  bridge?.remove()
})

const wait = (s) => new Promise((over) => setTimeout(over, 1000 * s))

// work starts and ends signings, each of which makes two deliveries, as many as are due by the clock:
// a timer that is late would leave some out.
function work() {
  const under = new Set()
  const failed = []
  const began = performance.now()
  let begun = 0
  async function one() {
    const token = await bridge.sign()
    await fetch(`${upstream.url}/_simulator/sessions/${token}`, { method: 'POST', body: '{"outcome":"succeeded"}' })
    await wait(1.1) // the window
    await bridge.poll(token)
  }
  const timer = setInterval(() => {
    for (const due = ((performance.now() - began) * deliveriesAMinute) / 120_000; begun < due; begun++) {
      const running = one().catch((failure) => failed.push(failure)).finally(() => under.delete(running))
      under.add(running)
    }
  }, 60)
  return async () => {
    clearInterval(timer)
    await Promise.all(under)
    assert.deepEqual(failed, [])
  }
}

const ticksASecond = 100 // of Linux
function serverSeconds() {
  const fields = readFileSync(`/proc/${bridge.running.child.pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksASecond
}

// during is what the server spends meanwhile, as a share of a core, and what is delivered in a minute.
async function during(seconds) {
  const [began, spent, received] = [performance.now(), serverSeconds(), taking.received]
  await wait(seconds)
  const took = (performance.now() - began) / 1000
  return { took, share: (serverSeconds() - spent) / took, deliveries: (60 * (taking.received - received)) / took }
}

// tasks returns how long each thing took that the page did at a stretch, in ms of the processor: on a
// machine that is busy the clock would tell of others. To note that costs the page as much again.
async function tasks(cdp, seconds) {
  const noted = []
  cdp.on('Tracing.dataCollected', ({ value }) => noted.push(...value.filter(({ name }) => name === 'RunTask' || name === 'thread_name')))
  const over = new Promise((ended) => cdp.once('Tracing.tracingComplete', ended))
  await cdp.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: ['disabled-by-default-devtools.timeline'] } })
  await wait(seconds)
  await cdp.send('Tracing.end')
  await over
  const thread = ({ pid, tid }) => `${pid} ${tid}`
  const pages = new Set(noted.filter(({ args }) => args.name === 'CrRendererMain').map(thread))
  return noted.filter((one) => one.name === 'RunTask' && pages.has(thread(one))).map(({ tdur }) => (tdur ?? 0) / 1000)
}

for (const view of full ? ['', 'sessions', 'deliveries'] : ['deliveries']) {
  test(`${view || 'overview'} with ${liveSessions} live sessions and ${deliveriesAMinute} deliveries a minute`, { timeout: 1000 * (120 + secondsWith + secondsTraced + secondsWithout) }, async (t) => {
    const stop = work()
    try {
      const { page, context, wrong } = await open(browser)
      await page.goto(bridge.private)
      await page.getByLabel('Management key').fill(key)
      await page.keyboard.press('Enter')
      await page.getByText('Live', { exact: true }).waitFor()
      await page.evaluate((view) => (location.hash = '#/' + view), view)
      const cdp = await context.newCDPSession(page)
      await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
      const measure = async () => {
        await cdp.send('HeapProfiler.collectGarbage')
        const { metrics } = await cdp.send('Performance.getMetrics')
        return Object.fromEntries(metrics.map(({ name, value }) => [name, value]))
      }
      await until('the first deliveries have come', () => taking.received)
      await wait(5) // until the page has all its files and plots
      const begin = await measure()
      let requests = 0
      page.on('request', () => requests++)
      const withPage = await during(secondsWith)
      const asked = requests
      const end = await measure()
      const all = await tasks(cdp, secondsTraced)
      assert.deepEqual(wrong, [])
      await context.close()
      const without = await during(secondsWithout)
      const pageShare = (end.TaskDuration - begin.TaskDuration) / withPage.took
      const percent = (share) => (100 * share).toFixed(1) + ' %'
      t.diagnostic(`page: ${percent(pageShare)} of a core, ${(asked / withPage.took).toFixed(1)} requests a second, ` +
        `the longest of ${all.length} tasks ${Math.max(...all).toFixed(0)} ms of the processor, ${all.filter((ms) => ms > frame).length} over ${frame}, ` +
        `heap ${(begin.JSHeapUsedSize / 1e6).toFixed(1)} -> ${(end.JSHeapUsedSize / 1e6).toFixed(1)} MB, nodes ${begin.Nodes} -> ${end.Nodes}`)
      t.diagnostic(`server: ${percent(withPage.share)} of a core with the page, ${percent(without.share)} without; ${Math.round(withPage.deliveries)} deliveries a minute`)
      assert.ok(asked < mostRequests * withPage.took, `the page asks ${asked} times in ${withPage.took} s`)
      assert.ok(pageShare < 0.2, `the page takes ${pageShare} of a core`)
      assert.ok(end.JSHeapUsedSize < begin.JSHeapUsedSize + 4e6, 'the heap grows')
      assert.ok(end.Nodes < begin.Nodes + 2000, 'elements stay')
    } finally {
      await stop()
    }
  })
}
