declare module "*.json?icu" {
  const messages: import("./messages").Messages;
  export default messages;
}
