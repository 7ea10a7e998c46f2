/* PID 1 of the guest, from boot to power off. */
#pragma once

/* What another main (guest/debug) does beside it. */
struct agent_company {
    void (*booted)(void);  /* the kernel is set up; nothing of the host's was read but its command line */
    void (*failing)(void); /* the guest is about to end, and the console says why */
};

/* Never returns: the guest ends here, with a line on the console when it was not asked to. `company` may be NULL. */
void agent_run(const struct agent_company *company) __attribute__((noreturn));
