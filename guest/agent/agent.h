/* PID 1 of the guest, from boot to power off. */
#pragma once

/* Never returns: the guest ends here, with a line on the console when it was not asked to. */
void agent_run(void) __attribute__((noreturn));
