/* The parts of `cloister job`; nobody else includes it. */
#pragma once

int job_run(int argc, char **argv); /* in run.c: a run that leaves a receipt */
int job_verify(int argc, char **argv);
