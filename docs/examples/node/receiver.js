// Takes webhooks, verifies them and stores each once.
import { randomUUID } from "node:crypto";
import { open, rename } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";

const verifier = new Webhook(process.env.WEBHOOK_SECRET); // whsec_…
const inbox = process.env.INBOX;
const mostBody = 64 << 20; // bytes; 1 MiB is plenty without include_file

const server = createServer(async (request, response) => {
  const answer = (status) => response.writeHead(status).end();
  try {
    // The bytes as they came: JSON that was parsed and written anew has another
    // signature. With Express, that is express.raw({ type: "application/json" }).
    const parts = [];
    let size = 0;
    for await (const part of request) {
      size += part.length;
      if (size > mostBody) return answer(413);
      parts.push(part);
    }
    const body = Buffer.concat(parts);
    try {
      verifier.verify(body, request.headers, { jsonParse: false });
    } catch {
      return answer(401);
    }
    // 2xx only once it is stored: pollbridge then forgets it.
    await store(request.headers["webhook-id"], body);
    answer(204);
    // The work itself is done by somebody else, who reads the inbox.
  } catch (error) {
    console.error(error.message);
    if (!response.headersSent) answer(503); // it will be sent again
  }
});

// store keeps a webhook under its id: one that comes twice is there once. Instead of
// files, take a table whose key is the id.
async function store(id, body) {
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(id)) throw new Error("the id is no file name");
  const temporary = join(inbox, `.new-${randomUUID()}`);
  const file = await open(temporary, "wx");
  try {
    await file.writeFile(body);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(inbox, `${id}.json`));
}

server.listen(Number(process.env.PORT), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/webhooks`);
});
