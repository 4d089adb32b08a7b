# SPDX-License-Identifier: MIT
# kmod.mk - the kernel module; included by the top Makefile
#
#:  make modules        the kernel module, for KVER (default: the running kernel)
#:  make modules_install  into /lib/modules, with its udev rule and group
#
# Built in a copy below $(B), so that the sources stay clean and several kernels can be
# built for: KDIR is the build directory of the kernel, KIMAGE its image, which has the
# type information (BTF) that some headers lack.
B	?= build
KVER	?= $(shell uname -r)
KDIR	?= /lib/modules/$(KVER)/build
KIMAGE	?= /boot/vmlinuz-$(KVER)
KMOD	 = $(B)/kmod/$(KVER)
KMOD_SRC := $(wildcard kmod/*.[ch] kmod/Kbuild include/uapi/linux/*.h)

modules: $(KMOD)/kmod/shmipc.ko

# Without BTF the module works; only eBPF programs cannot see its types.
$(KMOD)/kmod/shmipc.ko: $(KMOD_SRC)
	@test -e $(KDIR)/Makefile || { echo "modules: $(KDIR): no kernel headers there (Debian: linux-headers-$(KVER))" >&2; exit 1; }
	@mkdir -p $(KMOD)
	@cp -p --parents $(KMOD_SRC) $(KMOD)
	$(MAKE) -C $(KDIR) M=$(abspath $(KMOD))/kmod $(KFLAGS) modules
	@[ ! -r $(KIMAGE) ] || ! command -v pahole >/dev/null || kmod/btf $@ $(KIMAGE) || \
		echo "modules: $@ has no BTF (see above); it works without" >&2

modules_install: modules
	$(MAKE) -C $(KDIR) M=$(abspath $(KMOD))/kmod INSTALL_MOD_PATH=$(DESTDIR) modules_install
	install -D -m 644 kmod/install/shmipc.rules $(DESTDIR)/usr/lib/udev/rules.d/60-shmipc.rules
	install -D -m 644 kmod/install/shmipc.sysusers $(DESTDIR)/usr/lib/sysusers.d/shmipc.conf
	@echo "To load it at boot: install -m 644 kmod/install/shmipc.conf /etc/modules-load.d/"

.PHONY: modules modules_install
