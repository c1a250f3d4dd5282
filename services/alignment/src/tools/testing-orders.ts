import {
  createFileRegistry,
  type DescMessage,
  type DescService,
  fromBinary,
  fromJson,
  type JsonObject,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** A service that no generated code knows: shop.v1.Orders, in two files. */
const files = fromJson(FileDescriptorSetSchema, {
  file: [
    {
      name: "shop/v1/order.proto",
      package: "shop.v1",
      syntax: "proto3",
      messageType: [
        {
          name: "Order",
          field: [
            field("order_id", 1, "TYPE_STRING"),
            field("status", 2, "TYPE_STRING"),
            field("item_count", 3, "TYPE_INT32"),
            field("cents", 4, "TYPE_INT64"),
          ],
        },
      ],
    },
    {
      name: "shop/v1/orders.proto",
      package: "shop.v1",
      syntax: "proto3",
      dependency: ["shop/v1/order.proto"],
      messageType: [{ name: "OrderRequest", field: [field("order_id", 1, "TYPE_STRING")] }],
      service: [
        {
          name: "Orders",
          method: [
            { ...method("GetOrder"), options: { idempotencyLevel: "NO_SIDE_EFFECTS" } },
            method("CancelOrder"),
            { ...method("WatchOrder"), serverStreaming: true },
          ],
        },
      ],
    },
  ],
});

function field(name: string, number: number, type: string) {
  const jsonName = name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return { name, jsonName, number, type, label: "LABEL_OPTIONAL" };
}

function method(name: string) {
  return { name, inputType: ".shop.v1.OrderRequest", outputType: ".shop.v1.Order" };
}

const registry = createFileRegistry(files);

export const orders: DescService = found(registry.getService("shop.v1.Orders"));
export const requestType: DescMessage = found(registry.getMessage("shop.v1.OrderRequest"));
export const orderType: DescMessage = found(registry.getMessage("shop.v1.Order"));
export const descriptorSet = toBinary(FileDescriptorSetSchema, files);
export const fileProtos = files.file;

export function orderOf(values: JsonObject): Message {
  return fromJson(orderType, values);
}

export function orderBytes(values: JsonObject): Uint8Array {
  return toBinary(orderType, orderOf(values));
}

export function requestIn(bytes: Uint8Array): JsonObject {
  return toJson(requestType, fromBinary(requestType, bytes)) as JsonObject; // a message is an object
}

function found<T>(type: T | undefined): T {
  if (!type) throw new Error("the descriptors lack a type");
  return type;
}
