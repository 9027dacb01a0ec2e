// Debian's Chromium, and what is wrong with a page.
import axe from 'axe-core'
import { chromium } from 'playwright-core'

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] })

// open opens a page of its own, which notes what it must not do.
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const wrong = []
  page.on('pageerror', (error) => wrong.push(`error: ${error.stack}`))
  page.on('dialog', (dialog) => wrong.push(`a script ran: ${dialog.message()}`) && dialog.dismiss())
  page.on('console', (message) => /Content Security Policy|Trusted/.test(message.text()) && wrong.push(message.text()))
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.hostname !== '127.0.0.1' && url.protocol !== 'data:') wrong.push(`asks ${url}`)
  })
  return { page, context, wrong }
}

// check returns what axe finds that is serious, in the parts of a page or in all of it, and whether
// the page is wider than the screen.
export async function check(page, where, parts) {
  await page.evaluate(axe.source)
  const found = await page.evaluate((parts) => axe.run(parts ? { include: parts } : document, { resultTypes: ['violations'] }), parts)
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  return [
    ...found.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${where}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`),
    ...(wide > 1 ? [`${where}: ${wide} px wider than the screen`] : []),
  ]
}
