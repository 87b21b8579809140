// A grid of workgroups is at most 65535 wide, so long one-dimensional work is folded over x and y.
fn flat_group(group: vec3u, groups: vec3u) -> u32 {
  return group.x + group.y * groups.x;
}
