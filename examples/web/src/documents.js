// Everything that the page asks. A build can register these by digest: docs/api.md, "Documents by digest".
import { gql } from "@urql/core";

const row = /* GraphQL */ `
  fragment Row on Activity {
    id code name status version startsAt endsAt orgUnit responsible
    activityType { name }
    budget { amount currency }
  }
`;

export const Viewer = gql`
  query Viewer { viewer { user orgUnit roles permissions } }
`;

export const Activities = gql`
  query Activities($first: Int!, $after: Cursor, $filter: ActivityFilter) {
    activities(first: $first, after: $after, filter: $filter, orderBy: [CREATED_AT_DESC]) {
      totalCount
      nodes { ...Row }
      pageInfo { hasNextPage endCursor }
    }
  }
  ${row}
`;

export const Activity = gql`
  query Activity($id: ID!) {
    activity(id: $id) {
      ...Row
      description reason goal
      rewards { value rewardType { name unit } }
      costLines { amount { amount currency } costType { name } }
      timeline(last: 20) { nodes { id recordedAt actor eventType reason } }
    }
  }
  ${row}
`;

export const Parameters = gql`
  query Parameters {
    activityTypes(first: 100, filter: { status: { eq: ENABLED } }) { nodes { id path } }
    departments(first: 100, filter: { status: { eq: ENABLED } }) { nodes { id path } }
    costTypes(first: 100, filter: { status: { eq: ENABLED } }) { nodes { id name } }
    rewardTypes(first: 100, filter: { status: { eq: ENABLED } }) { nodes { id name unit minimum maximum } }
  }
`;

export const Draft = gql`
  mutation Draft($input: DraftActivityInput!) {
    draftActivity(input: $input) {
      activity { id code }
      userErrors { code path message }
      position
    }
  }
`;

const step = (name, input) => gql`
  mutation Step($input: ${input}!) {
    done: ${name}(input: $input) {
      activity { id status }
      userErrors { code path message }
      position
    }
  }
`;

export const steps = {
  submit: step("submitActivity", "ActivityInput"),
  withdraw: step("withdrawActivity", "ActivityInput"),
  launch: step("launchActivity", "ActivityInput"),
  resume: step("resumeActivity", "ActivityInput"),
  delete: step("deleteActivity", "ActivityInput"),
  pause: step("pauseActivity", "ActivityReasonInput"),
  cancel: step("cancelActivity", "ActivityReasonInput"),
};

export const Inbox = gql`
  query Inbox($box: InboxBox!) {
    approvalInbox(box: $box, first: 50) {
      nodes {
        id status awaiting subjectKind subjectLabel subjectRevision contentHash requestedBy decideBy
        activity {
          name description startsAt endsAt responsible
          budget { amount currency }
          costLines { amount { amount currency } costType { name } }
          rewards { value rewardType { name unit } }
        }
      }
    }
  }
`;

export const Approve = gql`
  mutation Approve($input: ApproveInput!) {
    done: approve(input: $input) {
      approval { id status }
      userErrors { code path message }
      position
    }
  }
`;

export const Reject = gql`
  mutation Reject($input: RejectInput!) {
    done: reject(input: $input) {
      approval { id status }
      userErrors { code path message }
      position
    }
  }
`;


export const ActivityChanged = gql`
  subscription ActivityChanged($after: Position) {
    activityChanged(after: $after) {
      position type id
      node { ...Row }
    }
  }
  ${row}
`;

export const SegmentRunChanged = gql`
  subscription SegmentRunChanged($after: Position) {
    segmentRunChanged(after: $after) {
      position type id
      node { id code status percent definition { name } }
    }
  }
`;
