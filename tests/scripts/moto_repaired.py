"""moto's server, with what CloudFormation does and moto 5.2 does not; runs in .venvs/ecs, for tests of scripts/deploy.

Repaired: outputs, tags and parameters of stacks that change sets make; lists among parameters; `RetainExceptOnCreate`;
a bucket's notifications, and EventBridge among them; revisions of a task definition; route tables of a deleted VPC.
"""

from typing import Any

from moto.cloudformation import models
from moto.cloudformation.responses import CloudFormationResponse
from moto.ec2.models import EC2Backend
from moto.ecs.models import TaskDefinition, ecs_backends
from moto.s3.models import FakeBucket, s3_backends
from moto.s3.responses import S3Response
from moto.server import main

_DESTINATION = "QueueConfigurations"


def _apply(self: models.ChangeSet) -> None:
    stack = self.stack
    if self.change_set_type == "CREATE":
        stack.template, stack.parameters = self.template, self.parameters
        stack._parse_template()
        stack.resource_map = stack._create_resource_map()
        stack.create_resources()
    else:
        stack.update(self.template, parameters=self.parameters, tags=self.tags or stack.tags)
        stack.template, stack.parameters = self.template, self.parameters
    stack.output_map = stack._create_output_map()


def _parameter_list(self: models.Stack) -> list[dict[str, Any]]:
    found = self.resource_map.resolved_parameters.items()
    return [
        {"ParameterKey": key, "ParameterValue": ",".join(value) if isinstance(value, list) else str(value)}
        for key, value in found
    ]


_delete = models.Stack.delete


def _delete_but_retained(self: models.Stack) -> None:
    for one in self.resource_map._resource_json_map.values():
        if one.get("DeletionPolicy") == "RetainExceptOnCreate":
            one["DeletionPolicy"] = "Retain"
    _delete(self)


_make_bucket = FakeBucket.create_from_cloudformation_json.__func__


def _bucket(
    cls: type, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **kwargs: Any
) -> FakeBucket:
    made = _make_bucket(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)
    told = cloudformation_json.get("Properties", {}).get("NotificationConfiguration", {})
    queues = [
        {"Id": f"made-{number}", "Queue": one["Queue"], "Event": [one["Event"]]}
        for number, one in enumerate(told.get(_DESTINATION, []))
    ]
    if queues:
        backend = s3_backends[account_id]["aws"]
        backend.put_bucket_notification_configuration(made.name, {"QueueConfiguration": queues})
    return made


_make_task = TaskDefinition.create_from_cloudformation_json.__func__


def _task(  # noqa: PLR0917 - as moto calls it
    cls: type,
    original_resource: TaskDefinition,
    new_resource_name: str,
    cloudformation_json: dict[str, Any],
    account_id: str,
    region_name: str,
) -> TaskDefinition:
    ecs_backends[account_id][region_name].deregister_task_definition(original_resource.arn)
    return _make_task(cls, new_resource_name, cloudformation_json, account_id, region_name)


_get_notification = S3Response.get_bucket_notification


def _notification(self: S3Response) -> tuple[int, dict[str, str], str]:
    status, headers, body = _get_notification(self)
    told = self.backend.get_bucket_notification_configuration(self.bucket_name)
    if told and told.event_bridge is not None:
        at = body.rindex("</")
        body = f"{body[:at]}<EventBridgeConfiguration/>{body[at:]}"
    return status, headers, body


_delete_vpc = EC2Backend.delete_vpc


def _vpc(self: EC2Backend, vpc_id: str) -> Any:
    for table in self.describe_route_tables(filters={"vpc-id": vpc_id}):
        self.route_tables.pop(table.id, None)
    return _delete_vpc(self, vpc_id)


def _accept(*_: object) -> None:
    """An empty change set fails after it was made, not before."""


CloudFormationResponse._validate_different_update = _accept
S3Response.get_bucket_notification = _notification
EC2Backend.delete_vpc = _vpc
models.ChangeSet.apply = _apply
models.Stack.parameter_list = property(_parameter_list)
models.Stack.delete = _delete_but_retained
FakeBucket.create_from_cloudformation_json = classmethod(_bucket)
TaskDefinition.update_from_cloudformation_json = classmethod(_task)

if __name__ == "__main__":
    main()
