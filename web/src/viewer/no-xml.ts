// Stands in for `xmlbuilder2`, which vtk.js imports to read and write XML files: none are used here.
const absent = (): never => {
  throw new Error('XML files are not supported');
};
export const create = absent;
export const convert = absent;
