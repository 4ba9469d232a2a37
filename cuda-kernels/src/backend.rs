//! A GPU as a backend.

use tensor::{Backend, Io, Kernel, Result, Slot};

use crate::{Gpu, launch};

impl Backend for Gpu {
    fn write(&mut self, to: Slot, data: &[f32]) {
        self.write_bytes(to, bytemuck::cast_slice(data));
    }

    fn write_u32(&mut self, to: Slot, data: &[u32]) {
        self.write_bytes(to, bytemuck::cast_slice(data));
    }

    fn read(&mut self, from: Slot, data: &mut [f32]) {
        self.read_bytes(from, bytemuck::cast_slice_mut(data));
    }

    fn begin_ahead(&mut self) {
        self.request(|driver| driver.begin_ahead());
    }

    fn write_ahead(&mut self, to: Slot, data: &[f32]) {
        assert_eq!(to.len, data.len(), "numbers for slot {to:?}");
        let at = self.address(to);
        self.request(|driver| driver.write_ahead(at, bytemuck::cast_slice(data)));
    }

    fn end_ahead(&mut self) {
        self.request(|driver| driver.end_ahead());
    }

    fn run(&mut self, kernel: &Kernel, io: &Io) {
        launch::run(self, kernel, io);
    }

    fn all_finite(&mut self, x: Slot) -> bool {
        let found = launch::reduce::not_finite(self, x);
        let mut is_found = [0.0];
        self.read(found, &mut is_found);
        is_found == [0.0]
    }

    fn check(&mut self) -> Result<()> {
        self.fault()
    }

    fn finish(&mut self) -> Result<()> {
        self.synchronize();
        self.fault()
    }

    fn begin_sequence(&mut self, id: usize) -> bool {
        self.begin(id)
    }

    fn end_sequence(&mut self) {
        self.end();
    }

    fn can_link(&self) -> bool {
        self.driver().can_link()
    }

    fn link(
        &mut self,
        rank: usize,
        ranks: usize,
        share: &mut dyn FnMut(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        self.driver_mut().link(rank, ranks, share)
    }

    fn exchange(&mut self, with: usize, mine: Slot, theirs: Slot) {
        self.exchange_bytes(with, mine, theirs);
    }
}
