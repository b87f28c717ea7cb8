// Finds the text that is nearest to a question in meaning.
using Glm;

string question = args.Length > 0 ? string.Join(' ', args) : "Where do cats like to sleep?";
string[] texts = ["Cats sleep on warm places such as mats.", "The stock market fell on Monday.", "The train to Berlin leaves at noon.", "猫喜欢睡在垫子上。"];
await using var model = GlmModel.Load();
using var generator = new GlmEmbeddingGenerator(model);
var vectors = await generator.GenerateAsync([question, .. texts]);
// The vectors have length 1, so their product is the cosine of the angle between them.
foreach (var (text, near) in texts.Select((text, i) => (text, vectors[0].Vector.ToArray().Zip(vectors[i + 1].Vector.ToArray(), (a, b) => a * b).Sum())).OrderByDescending(item => item.Item2))
    Console.WriteLine($"{near:F3}  {text}");
