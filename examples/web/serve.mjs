// The page and the API under one origin, for development: what is no file of the page goes on to the API.
// CARDINAL_URL is the API's address, PORT is where the page is (0: any free one).
import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { connect } from "node:net";

const api = new URL(process.env.CARDINAL_URL ?? "http://127.0.0.1:8000");
const here = new URL(".", import.meta.url);
const security = {
  "content-security-policy":
    "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

const { outputFiles } = await build({
  absWorkingDir: here.pathname,
  entryPoints: ["src/main.js"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  write: false,
});
const files = {
  "/": ["text/html; charset=utf-8", await readFile(new URL("index.html", here))],
  "/main.js": ["text/javascript; charset=utf-8", outputFiles[0].contents],
  "/style.css": ["text/css; charset=utf-8", await readFile(new URL("style.css", here))],
};

function onward(incoming, outgoing) {
  const { method, url: path, headers } = incoming;
  const asked = request({ host: api.hostname, port: api.port, method, path, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  asked.on("error", () => outgoing.headersSent || outgoing.writeHead(502).end());
  outgoing.on("close", () => asked.destroy());
  incoming.pipe(asked);
}

const server = createServer((incoming, outgoing) => {
  const found = incoming.method === "GET" && files[new URL(incoming.url, "http://page").pathname];
  if (!found) return onward(incoming, outgoing);
  outgoing.writeHead(200, { ...security, "content-type": found[0], "cache-control": "no-cache" });
  outgoing.end(found[1]);
});

server.on("upgrade", (incoming, socket, head) => {
  const there = connect(Number(api.port), api.hostname, () => {
    const lines = [`GET ${incoming.url} HTTP/1.1`];
    for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
      lines.push(`${incoming.rawHeaders[i]}: ${incoming.rawHeaders[i + 1]}`);
    }
    there.write(`${lines.join("\r\n")}\r\n\r\n`);
    there.write(head);
    there.pipe(socket).pipe(there);
  });
  there.on("error", () => socket.destroy());
  socket.on("error", () => there.destroy());
});

server.listen(Number(process.env.PORT ?? 5173), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/`);
});
