// Fills the blanks of a text and tells what else might stand there.
using Glm;

string text = args.Length > 0 ? string.Join(' ', args) : "The capital of France is [MASK], and people there speak [MASK].";
await using var model = GlmModel.Load();
var filled = await model.FillAsync(text, new TextOptions { Temperature = 0, MaxTokens = 16 }, alternatives: 5);
Console.WriteLine(filled.Text);
foreach (var blank in filled.Blanks)
{
    Console.WriteLine();
    foreach (var other in blank.Alternatives) Console.WriteLine($"{other.Probability,8:P1}  {other.Text}");
}
