using System.Text;

namespace Glm.Evaluation.Tests;

public sealed class EndpointPromptTests
{
    [Theory]
    [InlineData("B", 1)]
    [InlineData(" (c) because", 2)]
    [InlineData("**D**", 3)]
    [InlineData("The answer is B.", 1)]
    [InlineData("A dog is an animal, so B", 1)]
    [InlineData("A. dog", 0)]
    [InlineData("a", 0)]
    [InlineData("A or B? I think the answer: D", 3)]
    [InlineData("It is a matter of taste", -1)]
    [InlineData("E", -1)]
    [InlineData("", -1)]
    [InlineData("答案：C", -1)]
    [InlineData("答案： C。", 2)]
    public void Letters_are_found_in_replies(string reply, int choice) => Assert.Equal(choice, EndpointPrompt.Letter(reply, 4));

    [Theory]
    [InlineData("27", 26)]
    [InlineData("Number 3.", 2)]
    [InlineData("0", -1)]
    [InlineData("99", -1)]
    [InlineData("B", -1)]
    public void Many_choices_have_numbers(string reply, int choice) => Assert.Equal(choice, EndpointPrompt.Letter(reply, 30));

    [Fact]
    public void Windows_cover_a_text_once()
    {
        var random = new Random(3);
        string[] alphabet = ["a", " ", "\u00E9", "\u4F60", "\U0001F600"];
        for (int round = 0; round < 200; round++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(0, 300)).Select(_ => alphabet[random.Next(alphabet.Length)]));
            int bytes = random.Next(10, 120);
            var windows = EndpointPrompt.Windows(text, bytes).ToList();
            Assert.Equal(text, string.Concat(windows.Select(window => window.Part)));
            int at = 0;
            foreach (var (context, part) in windows)
            {
                Assert.InRange(Encoding.UTF8.GetByteCount(context + part), 1, bytes);
                Assert.EndsWith(context, text[..at]);
                at += part.Length;
            }
        }
    }

    [Fact]
    public void Estimates_are_of_the_right_size()
    {
        Assert.Equal(0, EndpointCost.Tokens(""));
        Assert.InRange(EndpointCost.Tokens("The quick brown fox jumps over the lazy dog."), 9, 12);
        Assert.InRange(EndpointCost.Tokens("\u4E2D\u534E\u4EBA\u6C11\u5171\u548C\u56FD"), 5, 9);
        Assert.Equal(2.5 + 0.03, new EndpointCost(1, 1, 1_000_000, 1000).Price(2.5, 30), 1e-9);
    }
}
