// Draws the pictures of the README into a folder, of a bridge that is at work.
import { join } from 'node:path'
import { launch, open } from './browser.mjs'
import { Bridge, endAll, key, receiver, simulator } from './programs.mjs'

const [folder] = process.argv.slice(2)
const taking = await receiver(204, '')
const failing = await receiver(503, 'try again later')
const upstream = await simulator('--sign-after', 'uniform:5s..25s', '--outcomes', 'succeeded=8,refused=1,expired=1', '--latency', 'uniform:20ms..60ms')
const bridge = new Bridge(upstream.url, [taking.port, failing.port])
const browser = await launch()
try {
  await bridge.start()
  await bridge.call('POST', '/v1/subscriptions', { url: `http://127.0.0.1:${failing.port}/hooks`, events: ['session.refused'], description: 'Support' })
  await bridge.call('POST', '/v1/subscriptions', { url: `http://127.0.0.1:${taking.port}/`, description: 'Archive' })
  const tokens = []
  let turn = 0
  const clients = setInterval(() => {
    if (turn++ % 12 === 0) bridge.sign().then((token) => tokens.push(token)).catch(() => {})
    for (const token of tokens.slice(-6)) for (let n = 0; n < 1 + (turn % 40) / 8; n++) bridge.poll(token).catch(() => {})
  }, 100)
  const { page } = await open(browser, { viewport: { width: 1200, height: 760 } })
  await page.goto(bridge.private)
  await page.getByLabel('Management key').fill(key)
  await page.keyboard.press('Enter')
  await page.getByText('Live', { exact: true }).waitFor()
  await new Promise((over) => setTimeout(over, 45_000))
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    await new Promise((over) => setTimeout(over, 1200)) // a tick
    await page.screenshot({ path: join(folder, `dashboard-${colorScheme}.png`) })
  }
  clearInterval(clients)
} finally {
  await browser.close()
  await endAll()
  taking.close()
  failing.close()
  bridge.remove()
}
process.exit()
