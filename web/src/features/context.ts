// What the views call: handed down once, at the root.
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Controller } from '../controller';
import type { Models } from '../models';

export interface Services {
  controller: Controller;
  models: Models;
}

export const ServicesContext = createContext<Services | undefined>(undefined);

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (!services) throw new Error('the views are drawn without their services');
  return services;
}
