"""The viewer in GraphQL: who one is here, and for whom one may act."""

import strawberry

from api.context import Info
from application.access import CUSTOMER, visible


@strawberry.type(description="Who is asking, as this house sees him now.")
class Viewer:
    user: str
    org_unit: str
    on_behalf_of: str | None = strawberry.field(description="The unit in whose name he acts.")
    roles: list[str]
    permissions: list[str]
    activity_units: list[str] = strawberry.field(description="Whose activities and work he sees.")
    data_units: list[str] = strawberry.field(description="Whose customers' data he sees.")


@strawberry.type
class ViewerQueries:
    @strawberry.field(description="Who is asking.")
    async def viewer(self, info: Info) -> Viewer:
        principal = info.context.principal
        return Viewer(
            user=principal.user,
            org_unit=principal.org_unit,
            on_behalf_of=principal.on_behalf_of,
            roles=sorted(role.value for role in principal.roles),
            permissions=sorted(permission.value for permission in principal.permissions),
            activity_units=sorted(principal.units),
            data_units=sorted(visible(CUSTOMER, principal)),
        )
