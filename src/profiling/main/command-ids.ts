export namespace CommandIDs {
  export const openProfile = 'genops:open-profile';
  export const compareProfiles = 'genops:compare-profiles';
  export const toggleLineTimes = 'genops:toggle-line-times';
}
