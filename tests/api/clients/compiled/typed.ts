// What graphql-codegen is given; tsc then holds the program to the types of the schema.
import type { ResultOf, VariablesOf } from "@graphql-typed-document-node/core";
import { graphql } from "./gql";

const Running = graphql(`
  query Running($first: Int!, $after: Cursor) {
    activities(first: $first, after: $after, filter: { status: { in: [RUNNING] } }) {
      nodes { id code status version budget { amount currency } }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

const Submit = graphql(`
  mutation Submit($input: ActivityInput!) {
    submitActivity(input: $input) {
      activity { id status }
      userErrors { code path message }
      position
    }
  }
`);

export const wanted: VariablesOf<typeof Running> = { first: 20 };

export function faultOf(answer: ResultOf<typeof Submit>): string | undefined {
  const fault = answer.submitActivity.userErrors[0];
  return fault?.code === "VERSION_CONFLICT" ? "look again" : fault?.message;
}

export function amounts(answer: ResultOf<typeof Running>): string[] {
  return answer.activities.nodes
    .filter((node) => node.status === "RUNNING")
    .map((node) => (node.budget ? `${node.budget.amount} ${node.budget.currency}` : "masked"));
}
