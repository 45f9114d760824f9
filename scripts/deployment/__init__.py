"""The stacks of ecs/, deployed: decisions are pure, and apart from what asks AWS."""
