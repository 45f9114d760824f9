"""A discrete-event model of the lanes: what queue age, tasks and cost a scaling policy leads to."""
