import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { check, launch, open } from './browser.mjs'
import { Bridge, credential, endAll, freePort, key, listen, receiver, saying, simulator, until } from './programs.mjs'

const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
let browser, page, context, wrong, bridge, failing, listenPort, heard
const secrets = [key, credential] // which no page may show

before(async () => {
  failing = await receiver(500, hostile)
  listenPort = await freePort()
  bridge = new Bridge((await simulator('--sign-after', '4s')).url, [failing.port, listenPort], { POLLBRIDGE_WATCH_SCHEDULE: 'adaptive' })
  await bridge.start()
  browser = await launch()
  ;({ page, context, wrong } = await open(browser))
})

after(async () => {
  await browser?.close()
  await endAll()
  failing?.close()
  bridge?.remove()
})

const go = async (where, heading) => {
  await page.evaluate((hash) => (location.hash = hash), where)
  await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor()
}
const see = (text) => page.getByText(text).first().waitFor()

// nothingSecret looks at all that the page holds.
async function nothingSecret() {
  const html = await page.evaluate(() => document.documentElement.outerHTML)
  for (const secret of secrets) assert.ok(!html.includes(secret), `${page.url()} shows ${secret.slice(0, 8)}…`)
}

test('log in', async () => {
  await page.goto(bridge.private)
  await page.getByLabel('Management key').fill('wrong-key-0123456789')
  await page.keyboard.press('Enter')
  await see('This is not one of the configured keys.')
  await page.getByLabel('Management key').fill(key)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await see('The bridge is ready.')
  const [cookie] = await context.cookies()
  assert.deepEqual({ httpOnly: cookie.httpOnly, sameSite: cookie.sameSite, path: cookie.path }, { httpOnly: true, sameSite: 'Strict', path: '/' })
  await nothingSecret()
})

// Until an overview is painted and has its figures. What is held is the same on every machine: bytes,
// requests, and that nothing is written by Intl, which would cost a quarter more. The time of the
// processor is only told, beside that of a page which is nothing but a picture.
test('the first paint takes little', async (t) => {
  async function paint(address, painted) {
    const { page, context: fresh, wrong } = await open(browser)
    await fresh.addCookies(await context.cookies())
    const cdp = await fresh.newCDPSession(page)
    await cdp.send('Network.enable')
    await cdp.send('Network.setCacheDisabled', { cacheDisabled: true })
    await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
    await page.addInitScript(() => {
      const localized = (globalThis.localized = [])
      globalThis.Intl = new Proxy(Intl, { get: (intl, name) => (localized.push(`Intl.${String(name)}`), Reflect.get(intl, name)) })
      for (const { prototype } of [Number, Date]) {
        for (const name of Object.getOwnPropertyNames(prototype).filter((name) => name.startsWith('toLocale'))) {
          const real = prototype[name]
          prototype[name] = function (...given) {
            localized.push(name)
            return real.apply(this, given)
          }
        }
      }
    })
    const spent = async () => 1000 * (await cdp.send('Performance.getMetrics')).metrics.find((m) => m.name === 'TaskDuration').value
    const before = await spent()
    const last = painted ? page.waitForResponse((answer) => answer.url().endsWith(painted)) : undefined
    await page.goto(address)
    await (await last)?.finished() // looking for a text would cost as much as half of the page
    await cdp.send('Runtime.evaluate', { expression: 'new Promise((shown) => requestAnimationFrame(() => setTimeout(shown)))', awaitPromise: true })
    const ms = (await spent()) - before
    if (painted) await page.getByText('The bridge is ready.').waitFor()
    const fetched = await page.evaluate((painted) => {
      const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
      const last = all.find(({ name }) => painted && name.endsWith(painted))
      return all.filter((one) => !last || one.startTime <= last.startTime).map(({ name, transferSize }) => ({ name, transferSize }))
    }, painted)
    assert.deepEqual(wrong, [])
    assert.deepEqual(await page.evaluate(() => globalThis.localized), [])
    await fresh.close()
    return { ms, bytes: fetched.reduce((sum, { transferSize }) => sum + transferSize, 0), names: fetched.map(({ name }) => new URL(name).pathname) }
  }
  const pages = []
  const pictures = []
  for (let n = 0; n < 3; n++) {
    pages.push(await paint(bridge.private, '/readyz'))
    pictures.push(await paint(bridge.private + '/console/icon.svg'))
  }
  const least = (all) => Math.min(...all.map(({ ms }) => ms))
  const [{ bytes, names }] = pages
  t.diagnostic(`${bytes} bytes in ${names.length} requests; ${least(pages).toFixed(0)} ms of the processor until all is shown, ${least(pictures).toFixed(0)} for a picture`)
  assert.ok(bytes > 10_000 && bytes <= 24_000, `${bytes} bytes were transferred`)
  assert.ok(names.length <= 16 && !names.some((name) => /uPlot|sessions/.test(name)), `it asks for ${names}`)
})

test('empty views say what to do next', async () => {
  await see('No client has asked for anything yet.')
  for (const [where, heading, says] of [
    ['#/sessions', 'Sessions', 'A session is watched from its start call'],
    ['#/subscriptions', 'Subscriptions', 'There is no subscription yet'],
    ['#/deliveries', 'Deliveries', 'A delivery is one event for one subscription'],
    ['#/schedule', 'Schedule', 'No session has been watched yet'],
    ['#/replicas', 'Replicas', 'This bridge is alone'],
  ]) {
    await go(where, heading)
    await see(says)
  }
})

test('the keyboard reaches everything', async () => {
  await page.getByRole('link', { name: 'Skip to the content' }).focus()
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main')
  await page.getByRole('link', { name: 'Subscriptions' }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Subscriptions' }).waitFor()
  await page.keyboard.press('Tab') // from the heading
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'New subscription')
})

test('create a subscription, and send a test event', async () => {
  await page.keyboard.press('Enter')
  const url = page.getByRole('textbox', { name: 'URL' })
  await url.fill('ftp://127.0.0.1/')
  await page.getByRole('button', { name: 'Create' }).click()
  await until('the field is marked', () => url.evaluate((input) => input.getAttribute('aria-invalid') === 'true'))
  await url.fill(`http://127.0.0.1:${listenPort}/`)
  await page.getByRole('textbox', { name: 'Description' }).fill(hostile)
  await page.getByRole('button', { name: 'Create' }).click()
  const secret = await page.getByLabel('Signing secret').inputValue()
  secrets.push(secret)
  await page.getByRole('button', { name: 'I have stored it' }).click()
  await page.getByRole('heading', { name: 'Subscription', exact: true }).waitFor()
  await see(hostile)
  heard = await listen(listenPort, secret)
  await page.getByRole('button', { name: 'Send a test event' }).click()
  await see('The test event was taken')
  await until('the receiver has verified it', () => /webhook\.test\s+verified/.test(heard.output))
  await nothingSecret()
})

test('a live signing from pending to succeeded', async () => {
  await go('#/sessions', 'Sessions')
  const token = await bridge.sign()
  const end = (outcome) => fetch(`${bridge.upstream}/_simulator/sessions/${token}`, { method: 'POST', body: JSON.stringify({ outcome }) })
  await end('waiting') // until it is to end
  secrets.push(token)
  const row = page.getByRole('row').filter({ hasText: token.slice(0, 8) + '…' })
  await row.getByText('pending').waitFor()
  await row.getByRole('link').click()
  await page.getByRole('heading', { name: 'Session', exact: true }).waitFor()
  await see('Next poll')
  await see('First seen:')
  await nothingSecret()
  await end('succeeded')
  await see('The end:')
  await until('the receiver was told', () => /session\.succeeded\s+verified/.test(heard.output))
  await until('the deliveries are on the timeline', () => page.getByText('session.succeeded to').count())
  const times = await page.locator('.timeline > li > time').evaluateAll((all) => all.map((one) => one.dateTime))
  assert.ok(times.length >= 4 && times.every((at, i) => i === 0 || new Date(times[i - 1]) <= new Date(at)), `the timeline is ${times}`)
  assert.match(await page.locator('.timeline > li').first().textContent(), /First seen: pending/)
  await nothingSecret()
  await go('#/sessions', 'Sessions')
  await row.getByText('succeeded').waitFor()
})

test('a failing endpoint and its redelivery', async () => {
  const { secret } = await bridge.call('POST', '/v1/subscriptions', { url: `http://127.0.0.1:${failing.port}/`, events: ['session.pending'] })
  secrets.push(secret)
  await go('#/deliveries?state=waiting', 'Deliveries')
  await bridge.sign()
  await page.getByRole('row').filter({ hasText: '500' }).getByRole('link', { name: 'session.pending' }).click()
  await page.getByRole('heading', { name: 'Delivery', exact: true }).waitFor()
  await page.getByText('What the receiver answered').first().click()
  await see(hostile)
  assert.equal(await page.locator('pre img, pre script').count(), 0)
  await go('#/subscriptions', 'Subscriptions')
  const row = page.getByRole('row').filter({ hasText: `:${failing.port}/` })
  await row.getByText('answered 500').waitFor()
  await row.getByText('0 %', { exact: true }).waitFor()
  await page.goBack()
  await page.getByRole('heading', { name: 'Delivery', exact: true }).waitFor()
  failing.status = 200
  await page.getByRole('button', { name: 'Redeliver' }).click()
  await page.locator('.facts').getByText('delivered').waitFor()
  await nothingSecret()
})

test('what the upstream says is shown as text', async () => {
  const upstream = await saying(hostile)
  const other = new Bridge(upstream.url, [failing.port])
  await other.start()
  await other.call('POST', '/v1/subscriptions', { url: `http://127.0.0.1:${failing.port}/`, description: hostile })
  for (let n = 0; n < 2; n++) await other.sign()
  const { page, context, wrong } = await open(browser)
  await page.goto(other.private + '/#/sessions')
  await page.getByLabel('Management key').fill(key)
  await page.keyboard.press('Enter')
  for (const [state, shown] of [['refused', hostile], ['succeeded', 'First seen:']]) {
    await page.getByRole('row').filter({ hasText: state }).getByRole('link').click()
    await page.getByRole('heading', { name: 'Session', exact: true }).waitFor()
    await page.getByText(shown).first().waitFor()
    assert.equal(await page.locator('main img, main script').count(), 0)
    await page.goBack()
  }
  assert.deepEqual(wrong, [])
  await context.close()
  await other.stop()
  other.remove()
  upstream.close()
})

test('what the schedule has learnt', async () => {
  await Promise.all(Array.from({ length: 40 }, () => bridge.sign())) // thirty ends are enough
  await until('it has learnt', async () => (await bridge.call('GET', '/v1/schedule')).curves.some((c) => c.points.length), 30)
  await go('#/schedule', 'Schedule')
  await see('smartid-sign, by the age since the start call')
  await see('sessions learnt.')
  await page.locator('section canvas').waitFor()
  await page.getByRole('img', { name: /polled again after/ }).waitFor()
})

test('a page that sleeps misses no event', async () => {
  await go('#/', 'Overview')
  const sleep = (hidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })
    document.dispatchEvent(new Event('visibilitychange'))
  }, hidden)
  await until('the page is live', () => page.locator('#connection').textContent().then((text) => text === 'Live'))
  await bridge.sign()
  await until('the page hears of events', () => page.locator('.news li').count())
  await sleep(true)
  const asked = []
  const note = (request) => asked.push(request.url())
  page.on('request', note)
  const token = await bridge.sign()
  await until('it ends', async () => (await bridge.call('GET', '/v1/sessions?state=pending')).items.length === 0)
  assert.deepEqual(asked, [], 'a page that nobody sees asks nothing')
  page.off('request', note)
  await sleep(false)
  await until('both events are shown', async () => (await page.locator('.news li').filter({ hasText: token.slice(0, 8) }).count()) === 2)
})

test('a stopped server and its return', async () => {
  await bridge.stop()
  await see('No connection')
  await see('The bridge has not answered since')
  await bridge.start()
  await see('The bridge is back.')
  await see('The bridge is ready.') // and nobody had to log in again
})

// Colours and widths are independent of each other, but for what narrow pages leave out: so
// each view is looked at in each colour and in each width, and some in all four combinations.
test('axe finds nothing serious, light and dark, wide and narrow', async () => {
  const [session] = (await bridge.call('GET', '/v1/sessions')).items
  const [subscription] = (await bridge.call('GET', '/v1/subscriptions')).items
  const [delivery] = (await bridge.call('GET', '/v1/deliveries')).items
  const views = [
    ['#/', 'Overview'], ['#/sessions', 'Sessions'], [`#/sessions/${session.id}`, 'Session'], ['#/subscriptions', 'Subscriptions'],
    [`#/subscriptions/${subscription.id}`, 'Subscription'], ['#/deliveries', 'Deliveries'], [`#/deliveries/${delivery.id}`, 'Delivery'],
    ['#/schedule', 'Schedule'], ['#/replicas', 'Replicas'], ['#/nothing', 'Nothing here'],
  ]
  const found = []
  for (const [colorScheme, width, some] of [['light', 1440, views], ['dark', 390, views], ['light', 390, views.slice(0, 1)], ['dark', 1440, views.slice(0, 1)]]) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width, height: 900 })
    for (const [where, heading] of some) {
      await go(where, heading)
      await until('it is filled', () => page.evaluate(() => !document.querySelector('main').textContent.includes('Asking the bridge')))
      found.push(...(await check(page, `${heading}, ${colorScheme}, ${width} px`)))
    }
    await go('#/subscriptions', 'Subscriptions')
    await page.getByRole('button', { name: 'New subscription' }).click()
    await page.getByText('Only some sessions').click()
    found.push(...(await check(page, `New subscription, ${colorScheme}, ${width} px`)))
    await page.keyboard.press('Escape')
  }
  assert.deepEqual(found, [])
  await nothingSecret()
})

test('log out', async () => {
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('heading', { name: 'Log in' }).waitFor()
  const status = await page.evaluate(() => fetch('/v1/stats').then((answer) => answer.status))
  assert.equal(status, 401)
  const found = []
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    found.push(...(await check(page, `Log in, ${colorScheme}`)))
  }
  assert.deepEqual(found, [])
})

test('the description can be read and tried, with a key that only the page knows', async () => {
  const { page, wrong } = await open(browser)
  await page.goto(bridge.private + '/docs')
  await page.getByText('List subscriptions').waitFor()
  await page.getByText('A session has succeeded').first().waitFor() // the events
  await page.getByRole('button', { name: 'Authorize' }).first().click()
  await page.locator('.auth-container input').fill(key)
  await page.locator('.modal-ux').getByRole('button', { name: 'Apply' }).click()
  await page.locator('.modal-ux').getByRole('button', { name: 'Close' }).click()
  await page.locator('#operations-Stats-get-stats').getByRole('button').first().click()
  await page.getByRole('button', { name: 'Try it out' }).click()
  await page.getByRole('button', { name: 'Execute' }).click()
  await page.locator('.live-responses-table').getByText('"started_at"').waitFor()
  const parts = ['nav', '.information-container', '.scheme-container', '#operations-Stats-get-stats', '#operations-tag-Webhooks'] // the others are alike, one of each colour:
  parts.push('#operations-Subscriptions-create-subscription', '#operations-Subscriptions-update-subscription', '#operations-Subscriptions-delete-subscription')
  const found = []
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    found.push(...(await check(page, `description, ${colorScheme}`, parts)))
  }
  assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage })), '{}')
  await page.reload()
  await page.getByText('List subscriptions').waitFor()
  assert.ok(!(await page.evaluate(() => document.documentElement.outerHTML)).includes(key), 'the key is gone with the page')
  assert.deepEqual([...wrong, ...found], [])
})

test('no page has done what it must not', () => assert.deepEqual(wrong, []))
