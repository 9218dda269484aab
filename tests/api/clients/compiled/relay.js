// What relay-compiler is given: a list with its connection, a refetched object, a command, a subscription.
import { graphql } from "react-relay";

export const list = graphql`
  query relayActivitiesQuery($count: Int!, $cursor: Cursor, $filter: ActivityFilter) {
    ...relay_activities @arguments(count: $count, cursor: $cursor, filter: $filter)
  }
`;

export const rows = graphql`
  fragment relay_activities on Query
  @refetchable(queryName: "relayMoreActivitiesQuery")
  @argumentDefinitions(
    count: { type: "Int", defaultValue: 20 }
    cursor: { type: "Cursor" }
    filter: { type: "ActivityFilter" }
  ) {
    activities(first: $count, after: $cursor, filter: $filter, orderBy: [STARTS_AT_DESC])
      @connection(key: "relay_activities") {
      edges {
        node {
          ...relay_activity
        }
      }
    }
  }
`;

export const row = graphql`
  fragment relay_activity on Activity @refetchable(queryName: "relayActivityQuery") {
    id
    code
    status
    version
    budget {
      amount
      currency
    }
  }
`;

export const submit = graphql`
  mutation relaySubmitMutation($input: ActivityInput!) {
    submitActivity(input: $input) {
      activity {
        ...relay_activity
      }
      userErrors {
        code
        path
        message
      }
      position
    }
  }
`;

export const follow = graphql`
  subscription relayActivitiesSubscription($after: Position) {
    activityChanged(after: $after) {
      position
      type
      node {
        ...relay_activity
      }
    }
  }
`;
