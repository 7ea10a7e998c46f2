/*
 * The capabilities that root in a container has unless its owner leaves it fewer: no raw sockets, no device nodes. Whoever
 * writes a policy has to know them as well as the guest that keeps it.
 */
#pragma once

#define GUEST_CAPABILITIES                                                                                              \
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",          \
        "CAP_NET_BIND_SERVICE", "CAP_KILL", "CAP_SETFCAP"
