// The programs that take part: the bridge, the simulated signing API, and receivers.
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createListener } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const program = process.env.POLLBRIDGE
export const key = 'sesame-of-the-browser-test'
export const credential = 'secret-of-a-client'

const started = []

// run starts the program and waits until its output says that it is there.
async function run(args, env, there) {
  const child = spawn(program, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const running = { child, output: '' }
  started.push(running)
  running.ended = new Promise((ended) => child.on('exit', ended))
  running.stop = async (signal = 'SIGTERM') => {
    child.kill(signal)
    await running.ended
  }
  const heard = (text) => (running.output += text)
  child.stdout.on('data', heard)
  child.stderr.on('data', heard)
  running.found = await until(`${args[0]} has begun`, () => {
    if (child.exitCode !== null) throw new Error(`${args[0]} has ended: ${running.output}`)
    return running.output.match(there)
  })
  return running
}

// until waits until something is true, and returns it.
export async function until(what, of, seconds = 15) {
  const end = Date.now() + 1000 * seconds
  for (;;) {
    const value = await of()
    if (value) return value
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`)
    await new Promise((over) => setTimeout(over, 20))
  }
}

export const endAll = () => Promise.all(started.map((running) => running.stop('SIGKILL')))

export async function simulator(...args) {
  const running = await run(['simulate-upstream', '--listen', '127.0.0.1:0', ...args], {}, /on (http:\/\/[\d.:]+)/)
  return { ...running, url: running.found[1] }
}

// bridge is one whose data stay when it is started again.
export class Bridge {
  #dir = mkdtempSync(join(tmpdir(), 'pollbridge-browser-'))
  #ports = ['127.0.0.1:0', '127.0.0.1:0']

  constructor(upstream, receivers, env = {}) {
    this.upstream = upstream
    this.receivers = receivers
    this.env = env
  }

  async start() {
    this.running = await run(
      ['serve', '--upstream', this.upstream, '--listen', this.#ports[0], '--admin-listen', this.#ports[1], '--data-dir', this.#dir],
      {
        POLLBRIDGE_ADMIN_KEY: key, POLLBRIDGE_WEBHOOK_ALLOW_HTTP: 'true', POLLBRIDGE_WEBHOOK_ALLOW_NETWORKS: '127.0.0.0/8',
        POLLBRIDGE_WEBHOOK_ALLOW_PORTS: this.receivers.join(','), ...this.env,
      },
      /pollbridge serves.* listen=(\S+) admin=(\S+)/,
    )
    this.#ports = this.running.found.slice(1)
    this.public = 'http://' + this.#ports[0]
    this.private = 'http://' + this.#ports[1]
  }

  stop = () => this.running.stop()
  remove = () => rmSync(this.#dir, { recursive: true, force: true })

  // sign begins a signing through the bridge and polls it once, as a client does.
  async sign() {
    const started = await fetch(this.public + '/en/smartid/sign.json', { method: 'POST', body: JSON.stringify({ access_token: credential, type: 'pdf', country: 'LT', code: '50001010006' }) })
    const { token } = await started.json()
    await this.poll(token)
    return token
  }

  async poll(token) {
    const answer = await fetch(`${this.public}/en/smartid/sign/status/${token}.json`, { method: 'POST', body: JSON.stringify({ access_token: credential }) })
    return answer.json()
  }

  // call asks the management API, as a program does.
  async call(method, path, body) {
    const answer = await fetch(this.private + path, {
      method, body: body && JSON.stringify(body), headers: { Authorization: 'Bearer ' + key, ...(body && { 'Content-Type': 'application/json' }) },
    })
    return answer.status === 204 ? undefined : answer.json()
  }
}

// saying is an upstream whose answers hold a text wherever they can hold one: signings are refused and
// succeed in turn.
export async function saying(text) {
  let begun = 0
  const answers = new Map()
  return server((request, response) => {
    response.setHeader('Content-Type', 'application/json')
    const token = /status\/(.+)\.json/.exec(request.url)?.[1]
    if (token) return response.end(JSON.stringify(answers.get(token)))
    const began = `token-${++begun}`
    answers.set(began, begun % 2 ? { status: 'error', error_code: 40020, message: text } : { status: 'ok', message: text, signature_id: text, file: { name: text, content: '' } })
    response.end(JSON.stringify({ status: 'ok', token: began, control_code: text }))
  })
}

// receiver answers what it is told to.
export async function receiver(status, answer) {
  const it = await server((request, response) => {
    request.resume().on('end', () => {
      it.received++
      response.writeHead(it.status, { 'Content-Type': 'text/html' }).end(it.answer)
    })
  })
  return Object.assign(it, { status, answer, received: 0 })
}

async function server(answer) {
  const listener = createServer(answer)
  await new Promise((listening) => listener.listen(0, '127.0.0.1', listening))
  const { port } = listener.address()
  return { port, url: `http://127.0.0.1:${port}`, close: () => listener.close() }
}

// freePort is one that was free just now.
export async function freePort() {
  const listener = createListener()
  await new Promise((listening) => listener.listen(0, '127.0.0.1', listening))
  const { port } = listener.address()
  await new Promise((closed) => listener.close(closed))
  return port
}

export const listen = (port, secret) => run(['listen', '--listen', `127.0.0.1:${port}`, '--secret', secret], {}, /127\.0\.0\.1/)
