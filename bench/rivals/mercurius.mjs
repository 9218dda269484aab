// mercurius with jit over hand-written resolvers and loaders: `node mercurius.mjs <database url>` prints its port.
import Fastify from 'fastify';
import mercurius from 'mercurius';
import pg from 'pg';

pg.types.setTypeParser(1184, String); // timestamptz stays text
const pool = new pg.Pool({ connectionString: process.argv[2], max: 8 });
const UNITS = ['HO', 'SH', 'SZ'];
const ORDERS = `select id, version, number, name, kind, org_unit as "orgUnit", status, priority, requester,
    execution_at as "executionAt", created_at as "createdAt", remark
  from read.work_orders where org_unit = any($1) order by created_at, id limit $2`;
const APPROVALS = `select a.id, version, status, requested_by as "requestedBy", requested_at as "requestedAt",
    closed_at as "closedAt", subject_id
  from unnest($2::uuid[]) wanted (id) cross join lateral (select * from read.approvals
    where subject_id = wanted.id and org_unit = any($1) order by requested_at, id limit 3) a`;

const schema = `
  type Query { workOrders(first: Int!): WorkOrders! }
  type WorkOrders { nodes: [WorkOrder!]! }
  type Approvals { nodes: [Approval!]! }
  type WorkOrder { id: ID! version: Int! number: String! name: String! kind: String! orgUnit: String!
    status: String! priority: String! requester: String! executionAt: String! createdAt: String!
    remark: String! approvals(first: Int!): Approvals! }
  type Approval { id: ID! version: Int! status: String! requestedBy: String! requestedAt: String!
    closedAt: String }
`;
const resolvers = {
  Query: {
    async workOrders(_, { first }) {
      return { nodes: (await pool.query({ name: 'orders', text: ORDERS, values: [UNITS, first] })).rows };
    },
  },
};
const loaders = {
  WorkOrder: {
    async approvals(queries) {
      const ids = queries.map(({ obj }) => obj.id);
      const found = await pool.query({ name: 'approvals', text: APPROVALS, values: [UNITS, ids] });
      const nodes = new Map(ids.map((id) => [id, []]));
      for (const row of found.rows) nodes.get(row.subject_id).push(row);
      return ids.map((id) => ({ nodes: nodes.get(id) }));
    },
  },
};

const app = Fastify();
app.register(mercurius, { schema, resolvers, loaders, jit: 1 });
await app.listen({ host: '127.0.0.1', port: 0 });
console.log(app.server.address().port);
