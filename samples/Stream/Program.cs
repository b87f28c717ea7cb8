// Continues several texts at once, which are computed together, and shows each as it grows.
using Glm;

string[] beginnings = args.Length > 0 ? args : ["The old house at the end of the street", "Scientists have found", "春天来了，公园里"];
await using var model = GlmModel.Load();
var screen = new Lock();
await Task.WhenAll(beginnings.Select(async (text, i) =>
{
    await foreach (var piece in model.Complete(text, new TextOptions { MaxTokens = 40, TopP = 0.9 }))
        lock (screen) Console.WriteLine($"{i}: {piece.Text}");
}));
var statistics = model.Engine.Statistics;
Console.WriteLine($"{statistics.NewTokens} tokens in {statistics.Steps} steps");
