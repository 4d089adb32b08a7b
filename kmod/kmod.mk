# SPDX-License-Identifier: MIT
# kmod.mk - the kernel module; included by the top Makefile
#
# Built in a copy below $(B), so that the sources stay clean and several kernels
# can be served: KDIR is the build directory of the kernel to serve.
#:  make modules        the kernel module, for KVER (default: the running kernel)
B	?= build
KVER	?= $(shell uname -r)
KDIR	?= /lib/modules/$(KVER)/build
KMOD	 = $(B)/kmod/$(KVER)
KMOD_SRC := $(wildcard kmod/*.[ch] kmod/Kbuild include/uapi/linux/*.h)

modules: $(KMOD)/kmod/shmipc.ko

$(KMOD)/kmod/shmipc.ko: $(KMOD_SRC)
	@test -e $(KDIR)/Makefile || { echo "modules: $(KDIR): no kernel headers there (Debian: linux-headers-$(KVER))" >&2; exit 1; }
	@mkdir -p $(KMOD)
	@cp -p --parents $(KMOD_SRC) $(KMOD)
	$(MAKE) -C $(KDIR) M=$(abspath $(KMOD))/kmod $(KFLAGS) modules

modules_install: modules
	$(MAKE) -C $(KDIR) M=$(abspath $(KMOD))/kmod INSTALL_MOD_PATH=$(DESTDIR) modules_install

.PHONY: modules modules_install
